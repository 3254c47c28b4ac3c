package scorer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/mlmonitor/mlmonitor/bundles"
)

// sampleFiles is the sample bundle in memory, for tests to break.
func sampleFiles(t testing.TB) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	sample := bundles.Sample()
	names, err := fs.Glob(sample, "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(sample, name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	return files
}

// sealed are the files that a bundle must have.
var sealed = []string{"model.txt", "contract.yaml", "policy.yaml", "examples.jsonl"}

// seal makes bundle.json say what the files are.
func seal(t testing.TB, files fstest.MapFS, list ...string) {
	t.Helper()
	if list == nil {
		list = sealed
	}
	m := manifest{Name: "test", Version: "1", Files: map[string]string{}}
	for _, name := range list {
		sum := sha256.Sum256(files[name].Data)
		m.Files[name] = hex.EncodeToString(sum[:])
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	files["bundle.json"] = &fstest.MapFile{Data: data}
}

func replace(files fstest.MapFS, name, old, new string) {
	files[name] = &fstest.MapFile{Data: bytes.Replace(files[name].Data, []byte(old), []byte(new), 1)}
}

// contractFor makes a contract of numbers with the names of a fixture's features.
func contractFor(files fstest.MapFS, name string, t testing.TB) {
	t.Helper()
	m, err := LoadModel("model.txt", fixture(t, name, "model.txt"), Auto)
	if err != nil {
		t.Fatal(err)
	}
	text := string(files["contract.yaml"].Data)
	text = text[:strings.Index(text, "features:")] + "features:\n"
	for _, feature := range m.FeatureNames() {
		text += fmt.Sprintf("  - {name: %s, path: amount, type: number}\n", feature)
	}
	files["contract.yaml"].Data = []byte(text)
}

func TestTheSampleBundleProvesItself(t *testing.T) {
	for _, engine := range []Engine{Auto, Forest, Leaves} {
		b, err := LoadBundle(bundles.Sample(), engine)
		if err != nil {
			t.Fatal(engine, err)
		}
		tolerance := 0.0
		if engine == Leaves {
			tolerance = 2e-6
		}
		if err := b.Check(tolerance); err != nil {
			t.Errorf("%s: %v", engine, err)
		}
		manifest, err := fs.ReadFile(bundles.Sample(), "bundle.json")
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(manifest)
		if want := "sha256:" + hex.EncodeToString(sum[:]); b.ID.Digest != want {
			t.Errorf("digest %s, bundle.json has %s", b.ID.Digest, want)
		}
	}
}

func TestABrokenBundleIsRefusedByName(t *testing.T) {
	for name, c := range map[string]struct {
		want   []string // in the error
		break_ func(testing.TB, fstest.MapFS)
	}{
		"changed file":   {[]string{"policy.yaml", "SHA-256"}, func(t testing.TB, f fstest.MapFS) { replace(f, "policy.yaml", "0", "1") }},
		"no manifest":    {[]string{"bundle.json"}, func(t testing.TB, f fstest.MapFS) { delete(f, "bundle.json") }},
		"missing file":   {[]string{"contract.yaml"}, func(t testing.TB, f fstest.MapFS) { delete(f, "contract.yaml") }},
		"unlisted model": {[]string{"model"}, func(t testing.TB, f fstest.MapFS) { seal(t, f, "contract.yaml", "policy.yaml", "examples.jsonl") }},
		"two models": {[]string{"2 models"}, func(t testing.TB, f fstest.MapFS) {
			f["model.json"] = f["model.txt"]
			seal(t, f, "model.txt", "model.json", "contract.yaml", "policy.yaml", "examples.jsonl")
		}},
		"unknown key in the manifest": {[]string{"bundle.json", "surprise"}, func(t testing.TB, f fstest.MapFS) { replace(f, "bundle.json", "{", `{"surprise":1,`) }},
		"text after the manifest":     {[]string{"bundle.json", "after"}, func(t testing.TB, f fstest.MapFS) { f["bundle.json"].Data = append(f["bundle.json"].Data, "{}"...) }},
		"renamed feature": {[]string{"contract.yaml", "hour2"}, func(t testing.TB, f fstest.MapFS) {
			replace(f, "contract.yaml", "name: hour", "name: hour2")
			seal(t, f)
		}},
		"profile of other features": {[]string{"profile.json", "amount2", "model profile"}, func(t testing.TB, f fstest.MapFS) {
			replace(f, "profile.json", `"name": "amount"`, `"name": "amount2"`)
			seal(t, f, append(sealed, ProfileFile)...)
		}},
		"profile whose counts do not add up": {[]string{"profile.json", "observations"}, func(t testing.TB, f fstest.MapFS) {
			replace(f, "profile.json", `"observations": 1`, `"observations": 2`)
			seal(t, f, append(sealed, ProfileFile)...)
		}},
		"a feature less": {[]string{"contract.yaml", "features"}, func(t testing.TB, f fstest.MapFS) {
			features, quality, _ := strings.Cut(string(f["contract.yaml"].Data), "\nquality:")
			at := strings.LastIndex(features, "\n  - {")
			f["contract.yaml"].Data = []byte(features[:at+1] + "quality:" + quality)
			seal(t, f)
		}},
		"features in another order": {[]string{"contract.yaml", "feature 1", "weekday", "hour"}, func(t testing.TB, f fstest.MapFS) {
			replace(f, "contract.yaml", "name: hour", "name: swapped")
			replace(f, "contract.yaml", "name: weekday", "name: hour")
			replace(f, "contract.yaml", "name: swapped", "name: weekday")
			seal(t, f)
		}},
		"a model of several outputs": {[]string{"model.txt", "4 outputs"}, func(t testing.TB, f fstest.MapFS) {
			f["model.txt"].Data = fixture(t, "lgb_multiclass", "model.txt")
			contractFor(f, "lgb_multiclass", t)
			seal(t, f)
		}},
		"a prediction that may pass 1": {[]string{"model.txt", "cross_entropy_lambda", "probability"}, func(t testing.TB, f fstest.MapFS) {
			f["model.txt"].Data = fixture(t, "lgb_cross_entropy_lambda", "model.txt")
			contractFor(f, "lgb_cross_entropy_lambda", t)
			seal(t, f)
		}},
		"a model under another name": {[]string{"model.txt", "model.ubj"}, func(t testing.TB, f fstest.MapFS) {
			f["model.bin"] = f["model.txt"]
			seal(t, f, "model.bin", "contract.yaml", "policy.yaml", "examples.jsonl")
		}},
		"a digest of another kind": {[]string{"model.txt", "SHA-256"}, func(t testing.TB, f fstest.MapFS) {
			sum := sha256.Sum256(f["model.txt"].Data)
			old := hex.EncodeToString(sum[:])
			f["bundle.json"].Data = bytes.Replace(f["bundle.json"].Data, []byte(old), []byte(strings.ToUpper(old)), 1)
		}},
		"no name": {[]string{"bundle.json", "name"}, func(t testing.TB, f fstest.MapFS) {
			seal(t, f)
			replace(f, "bundle.json", `"test"`, `""`)
		}},
		"a name without end": {[]string{"bundle.json", "name"}, func(t testing.TB, f fstest.MapFS) {
			seal(t, f)
			replace(f, "bundle.json", `"test"`, `"`+strings.Repeat("n", maxNameLen+1)+`"`)
		}},
		"too many files": {[]string{"bundle.json", "65 files"}, func(t testing.TB, f fstest.MapFS) {
			list := []string{"model.txt", "contract.yaml", "policy.yaml", "examples.jsonl"}
			for i := len(list); i <= maxFiles; i++ {
				list = append(list, fmt.Sprint("file", i))
				f[list[i]] = &fstest.MapFile{}
			}
			seal(t, f, list...)
		}},
		"a manifest that is a list": {[]string{"bundle.json"}, func(t testing.TB, f fstest.MapFS) { f["bundle.json"].Data = []byte("[]") }},
		"an oversized manifest": {[]string{"bundle.json", "larger"}, func(t testing.TB, f fstest.MapFS) {
			f["bundle.json"].Data = append(f["bundle.json"].Data, make([]byte, maxOtherFile)...)
		}},
		"an example of NaN": {[]string{"examples.jsonl", "line 1"}, func(t testing.TB, f fstest.MapFS) {
			replace(f, "examples.jsonl", `"probability": `, `"probability": NaN `)
			seal(t, f)
		}},
		"an example with a key more": {[]string{"examples.jsonl", "line 1", "note"}, func(t testing.TB, f fstest.MapFS) {
			replace(f, "examples.jsonl", `"probability": `, `"note": 1, "probability": `)
			seal(t, f)
		}},
		"too many examples": {[]string{"examples.jsonl", "more than 10000"}, func(t testing.TB, f fstest.MapFS) {
			f["examples.jsonl"].Data = bytes.Repeat([]byte("{}\n"), maxExamples+1)
			seal(t, f)
		}},
		"policy out of order": {[]string{"policy.yaml", "review"}, func(t testing.TB, f fstest.MapFS) {
			f["policy.yaml"].Data = []byte("version: 1\nreview: 0.9\ndecline: 0.1\n")
			seal(t, f)
		}},
		"policy with a key more": {[]string{"policy.yaml", "hold"}, func(t testing.TB, f fstest.MapFS) {
			f["policy.yaml"].Data = []byte("version: 1\nreview: 0.1\ndecline: 0.9\nhold: 0.5\n")
			seal(t, f)
		}},
		"policy NaN": {[]string{"policy.yaml"}, func(t testing.TB, f fstest.MapFS) {
			f["policy.yaml"].Data = []byte("version: 1\nreview: .nan\ndecline: 0.9\n")
			seal(t, f)
		}},
		"no example":      {[]string{"examples.jsonl"}, func(t testing.TB, f fstest.MapFS) { f["examples.jsonl"].Data = nil; seal(t, f) }},
		"damaged example": {[]string{"examples.jsonl", "line 1"}, func(t testing.TB, f fstest.MapFS) { replace(f, "examples.jsonl", "{", "["); seal(t, f) }},
		"damaged model": {[]string{"model.txt", "tree 0"}, func(t testing.TB, f fstest.MapFS) {
			replace(f, "model.txt", "\nleft_child=", "\nleft_child=9 ")
			seal(t, f)
		}},
		"no probability": {[]string{"model.txt", "objective", "regression"}, func(t testing.TB, f fstest.MapFS) {
			replace(f, "model.txt", "\nobjective=binary sigmoid:1", "\nobjective=regression")
			seal(t, f)
		}},
		"oversized file": {[]string{"policy.yaml", "larger"}, func(t testing.TB, f fstest.MapFS) {
			f["policy.yaml"].Data = make([]byte, maxOtherFile+1)
			seal(t, f)
		}},
		"path out of the bundle": {[]string{"../secret"}, func(t testing.TB, f fstest.MapFS) {
			replace(f, "bundle.json", `"files": {`, `"files": {"../secret": "00",`)
			if !bytes.Contains(f["bundle.json"].Data, []byte("../secret")) {
				replace(f, "bundle.json", `"files":{`, `"files":{"../secret": "00",`)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			files := sampleFiles(t)
			c.break_(t, files)
			_, err := LoadBundle(files, Auto)
			if err == nil {
				t.Fatal("the bundle loads")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
		})
	}
}

func TestAnExampleThatScoresOtherwiseIsFound(t *testing.T) {
	for name, edit := range map[string]func(*Example){
		"margin":      func(e *Example) { e.Margin += 1e-12 },
		"no margin":   func(e *Example) { e.Margin = math.NaN() },
		"infinite":    func(e *Example) { e.Probability = math.Inf(1) },
		"probability": func(e *Example) { e.Probability *= 1 + 1e-15 },
		"decision":    func(e *Example) { e.Decision = "hold" },
		"event":       func(e *Example) { e.Event = json.RawMessage(`{}`) },
	} {
		b, err := LoadBundle(bundles.Sample(), Auto)
		if err != nil {
			t.Fatal(err)
		}
		edit(&b.Examples[3])
		if err := b.Check(0); err == nil || !strings.Contains(err.Error(), "example 4") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAModelUnderTheOtherLibrarysNameIsRefused(t *testing.T) {
	data := fixture(t, "bad", "lgb_json.txt")
	if _, err := LoadModel("model.txt", data, Auto); err == nil || !strings.Contains(err.Error(), ".txt") {
		t.Errorf("XGBoost's JSON as model.txt: %v", err)
	}
	if _, err := LoadModel("model", data, Auto); err != nil {
		t.Errorf("under a name that says nothing: %v", err)
	}
	if _, err := LoadModel("model.json", data, "onnx"); err == nil || !strings.Contains(err.Error(), "SCORER_ENGINE") {
		t.Errorf("an unknown engine: %v", err)
	}
}

// TestABundleOfAFixtureLoads shows that the refusals above are not of a fixture as such.
func TestABundleOfAFixtureLoads(t *testing.T) {
	files := sampleFiles(t)
	files["model.txt"].Data = fixture(t, "lgb_binary_plain", "model.txt")
	contractFor(files, "lgb_binary_plain", t)
	seal(t, files)
	for _, engine := range []Engine{Auto, Leaves} {
		if _, err := LoadBundle(files, engine); err != nil {
			t.Errorf("%s: %v", engine, err)
		}
	}
}
