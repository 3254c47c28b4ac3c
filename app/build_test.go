package app

import (
	"context"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestABuildIsWhatTheLinkerSaysThenWhatGoNotes(t *testing.T) {
	clone := &debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-01-05T10:11:12Z"}, {Key: "vcs.modified", Value: "true"}}}
	clone.Main.Version = "(devel)"
	module := &debug.BuildInfo{}
	module.Main.Version = "v1.2.3"
	for name, c := range map[string]struct {
		version, commit, date string
		info                  *debug.BuildInfo
		want                  [3]string
	}{
		"a release":                  {"v2.0.0", "def", "2026-02-01T00:00:00Z", clone, [3]string{"v2.0.0", "def", "2026-02-01T00:00:00Z"}},
		"go build in a clone":        {"dev", "", "", clone, [3]string{"dev", "abc+changes", "2026-01-05T10:11:12Z"}},
		"go install of a version":    {"dev", "", "", module, [3]string{"v1.2.3", "unknown", "unknown"}},
		"a binary without its notes": {"dev", "", "", nil, [3]string{"dev", "unknown", "unknown"}},
	} {
		b := newBuild(c.version, c.commit, c.date, c.info)
		if got := [3]string{b.Version, b.Commit, b.CommitDate}; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if b.GoVersion != runtime.Version() || b.Platform != runtime.GOOS+"/"+runtime.GOARCH {
			t.Errorf("%s: %q on %q", name, b.GoVersion, b.Platform)
		}
	}
}

func TestMetricsOfEveryRoleSayWhichBuildItIs(t *testing.T) {
	before := Program
	defer func() { Program = before }()
	Program = newBuild("v9.8.7", "abc", "", nil)
	s := serveOps(t, func(context.Context) error { return nil })
	_, body := get(t, s.URL()+"/metrics")
	if want := "\n" + `mlmonitor_build_info{commit="abc",goversion="` + runtime.Version() + `",version="v9.8.7"} 1` + "\n"; !strings.Contains(body, want) {
		t.Errorf("/metrics lacks %q", want)
	}
}
