package app

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// Build says which program this is.
type Build struct {
	Version    string
	Commit     string // of the source; "+changes" follows where it differs from the commit
	CommitDate string // RFC 3339
	GoVersion  string
	Platform   string // operating system/architecture
}

// Program is this one; package main says which it is before anything else runs.
var Program = NewBuild("dev", "", "")

// NewBuild takes what the linker was told, and for what it was not, what the go command notes in a binary that it builds from a clone or from a module.
func NewBuild(version, commit, commitDate string) Build {
	info, _ := debug.ReadBuildInfo()
	return newBuild(version, commit, commitDate, info)
}

func newBuild(version, commit, commitDate string, info *debug.BuildInfo) Build {
	b := Build{Version: version, Commit: commit, CommitDate: commitDate, GoVersion: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info != nil {
		if b.Version == "dev" && info.Main.Version != "" && info.Main.Version != "(devel)" {
			b.Version = info.Main.Version
		}
		settings := map[string]string{}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		if b.Commit == "" && settings["vcs.revision"] != "" {
			b.Commit, b.CommitDate = settings["vcs.revision"], settings["vcs.time"]
			if settings["vcs.modified"] == "true" {
				b.Commit += "+changes"
			}
		}
	}
	b.Commit, b.CommitDate = cmp.Or(b.Commit, "unknown"), cmp.Or(b.CommitDate, "unknown")
	return b
}

// String is a line for each: what --version prints.
func (b Build) String() string {
	return fmt.Sprintf("mlmonitor %s\ncommit    %s\ndate      %s\ngo        %s\nplatform  %s\n", b.Version, b.Commit, b.CommitDate, b.GoVersion, b.Platform)
}

// gauge is 1, with labels that say what runs: a release that was not rolled out everywhere shows as two series.
func (b Build) gauge() prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "mlmonitor_build_info", Help: "1; the labels say which build of the program this is.",
		ConstLabels: prometheus.Labels{"version": b.Version, "commit": b.Commit, "goversion": b.GoVersion}})
	g.Set(1)
	return g
}
