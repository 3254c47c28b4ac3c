package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const fixtures = "../../scorer/forest/testdata"

// unpacked reads a file of a fixture, which may be packed.
func unpacked(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err == nil {
		return data
	}
	f, err := os.Open(name + ".gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if data, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	return data
}

// sameNumbers says where two tables of numbers differ, read back to the library's number type.
func sameNumbers(t *testing.T, width int, got, want string) {
	t.Helper()
	gotLines, wantLines := strings.Split(strings.TrimSpace(got), "\n"), strings.Split(strings.TrimSpace(want), "\n")
	if len(gotLines) != len(wantLines) {
		t.Errorf("%d lines, want %d", len(gotLines), len(wantLines))
		return
	}
	for i := range wantLines {
		g, w := strings.Split(gotLines[i], ","), strings.Split(wantLines[i], ",")
		same := len(g) == len(w)
		for j := 0; same && j < len(w); j++ {
			a, errA := strconv.ParseFloat(g[j], width)
			b, errB := strconv.ParseFloat(w[j], width)
			same = errA == nil && errB == nil && (a == b || a != a && b != b)
		}
		if !same {
			t.Errorf("line %d is %q, want %q", i+1, gotLines[i], wantLines[i])
			return
		}
	}
}

// TestPredictPrintsWhatTheLibraryPredicted goes the whole way that a user goes, by files: what stands in prob.csv and raw.csv comes out.
func TestPredictPrintsWhatTheLibraryPredicted(t *testing.T) {
	metas, err := filepath.Glob(filepath.Join(fixtures, "*", "meta.json"))
	if err != nil || len(metas) < 100 {
		t.Fatalf("%d fixtures, %v", len(metas), err)
	}
	for _, path := range metas {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			var meta struct {
				Expect   string
				Width    int
				Files    []string
				Features []string `json:"feature_names"`
			}
			if data, err := os.ReadFile(path); err != nil || json.Unmarshal(data, &meta) != nil {
				t.Fatalf("%s: %v", path, err)
			}
			table := unpacked(t, filepath.Join(dir, "rows.csv"))
			if len(meta.Features) > 0 {
				table = append([]byte(strings.Join(meta.Features, ",")+"\n"), table...)
			} else {
				columns := bytes.Count(table[:bytes.IndexByte(table, '\n')], []byte(",")) + 1
				header := ""
				for i := range columns {
					header += "," + strconv.Itoa(i)
				}
				table = append([]byte(header[1:]+"\n"), table...)
			}
			tmp := t.TempDir()
			rows := filepath.Join(tmp, "rows.csv")
			if err := os.WriteFile(rows, table, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, file := range meta.Files {
				model := filepath.Join(tmp, file)
				if err := os.WriteFile(model, unpacked(t, filepath.Join(dir, file)), 0o600); err != nil {
					t.Fatal(err)
				}
				for want, flags := range map[string][]string{"raw.csv": {"--raw"}, "prob.csv": nil} {
					out, _, err := invoke(t, append([]string{"model", "predict", model, "--rows", rows}, flags...)...)
					if meta.Expect != "score" {
						if err == nil || out != "" {
							t.Errorf("%s is to be refused; %q", file, out)
						}
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					sameNumbers(t, meta.Width, out, string(unpacked(t, filepath.Join(dir, want))))
				}
			}
		})
	}
}
