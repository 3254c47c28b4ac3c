package scorer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/schemas"
)

// Limits of a bundle's files, in bytes.
const (
	maxModelFile = 512 << 20
	maxOtherFile = 16 << 20
	maxFiles     = 64
	maxNameLen   = 200
)

// ProfileFile is the name of a bundle's profile.
const ProfileFile = "profile.json"

// modelFiles are the names that a bundle's model may have; the format is found from the content all the same.
var modelFiles = []string{"model.txt", "model.json", "model.ubj"}

// Bundle is a model with the contract that feeds it and the policy that decides on its scores. It is immutable.
type Bundle struct {
	ID       schemas.BundleID
	Contract *schemas.Contract
	Policy   Policy
	Model    Model
	Examples []Example
	Profile  *drift.Profile  // nil where the bundle has none: then nothing can be said of drift
	Training json.RawMessage // what training recorded about itself: metrics, versions
	Bytes    int64           // of its files
}

// manifest is bundle.json.
type manifest struct {
	Name     string            `json:"name"`
	Version  string            `json:"version"`
	Files    map[string]string `json:"files"` // SHA-256 in hex of each other file
	Training json.RawMessage   `json:"training,omitempty"`
}

// LoadBundle reads a bundle, and refuses one whose digests differ, whose contract and model disagree, or whose model does not give a
// probability. It does not score the recorded examples: Check does.
func LoadBundle(dir fs.FS, engine Engine) (*Bundle, error) {
	b, profile, err := load(dir, engine)
	if err != nil || profile == nil {
		return b, err
	}
	if b.Profile, err = drift.ParseProfile(profile); err != nil {
		return nil, fmt.Errorf("%s: %w", ProfileFile, err)
	}
	if err := b.agreeProfile(); err != nil {
		return nil, fmt.Errorf("contract.yaml and %s: %w", ProfileFile, err)
	}
	return b, nil
}

// Digest of the bundle in a folder, without loading it.
func Digest(dir fs.FS) (string, error) {
	raw, err := readFile(dir, "bundle.json", maxOtherFile)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// LoadUnprofiled is LoadBundle but for the profile, which may be of another contract, or of another program: it is to be made anew.
func LoadUnprofiled(dir fs.FS, engine Engine) (*Bundle, error) {
	b, _, err := load(dir, engine)
	return b, err
}

func load(dir fs.FS, engine Engine) (b *Bundle, profile []byte, err error) {
	raw, err := readFile(dir, "bundle.json", maxOtherFile)
	if err != nil {
		return nil, nil, err
	}
	m, err := parseManifest(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("bundle.json: %w", err)
	}
	files, err := readFiles(dir, m.Files)
	if err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(raw)
	b = &Bundle{ID: schemas.BundleID{Name: m.Name, Version: m.Version, Digest: "sha256:" + hex.EncodeToString(sum[:])}, Training: m.Training, Bytes: int64(len(raw))}
	for _, data := range files {
		b.Bytes += int64(len(data))
	}
	if b.Contract, err = schemas.ParseContract(files["contract.yaml"]); err != nil {
		return nil, nil, err
	}
	if b.Policy, err = ParsePolicy(files["policy.yaml"]); err != nil {
		return nil, nil, err
	}
	if b.Examples, err = parseExamples(files["examples.jsonl"]); err != nil {
		return nil, nil, fmt.Errorf("examples.jsonl: %w", err)
	}
	name := modelFile(files)
	if b.Model, err = LoadModel(name, files[name], engine); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := b.agree(); err != nil {
		return nil, nil, fmt.Errorf("contract.yaml and %s: %w", name, err)
	}
	return b, files[ProfileFile], nil
}

func parseManifest(raw []byte) (manifest, error) {
	var m manifest
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return m, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return m, errors.New("text after the JSON object")
	}
	if m.Name == "" || m.Version == "" || len(m.Name) > maxNameLen || len(m.Version) > maxNameLen {
		return m, fmt.Errorf("name and version must have 1 to %d bytes", maxNameLen)
	}
	if len(m.Files) > maxFiles {
		return m, fmt.Errorf("%d files, at most %d", len(m.Files), maxFiles)
	}
	for _, need := range []string{"contract.yaml", "policy.yaml", "examples.jsonl"} {
		if _, ok := m.Files[need]; !ok {
			return m, fmt.Errorf("files does not list %s", need)
		}
	}
	models := 0
	for _, name := range modelFiles {
		if _, ok := m.Files[name]; ok {
			models++
		}
	}
	if models != 1 {
		return m, fmt.Errorf("files lists %d models, exactly one of %v is needed", models, modelFiles)
	}
	return m, nil
}

// ListFile gives bundle.json with one more file, or with the new digest of one that is listed: the digest of the bundle is another then.
func ListFile(bundleJSON []byte, name string, content []byte) ([]byte, error) {
	m, err := parseManifest(bundleJSON)
	if err != nil {
		return nil, fmt.Errorf("bundle.json: %w", err)
	}
	sum := sha256.Sum256(content)
	m.Files[name] = hex.EncodeToString(sum[:])
	out, err := json.MarshalIndent(m, "", "  ")
	return append(out, '\n'), err
}

// Files gives the files that a bundle.json lists, each with the largest size that it may have, in bytes. A name is that of a file directly in the bundle's folder.
func Files(bundleJSON []byte) (map[string]int64, error) {
	if len(bundleJSON) > maxOtherFile {
		return nil, fmt.Errorf("bundle.json is larger than %d bytes", maxOtherFile)
	}
	m, err := parseManifest(bundleJSON)
	if err != nil {
		return nil, fmt.Errorf("bundle.json: %w", err)
	}
	files := map[string]int64{}
	for name := range m.Files {
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") || name == "bundle.json" {
			return nil, fmt.Errorf("bundle.json lists %q, which is no name of a file in the bundle's folder", name)
		}
		files[name] = maxOtherFile
		if slices.Contains(modelFiles, name) {
			files[name] = maxModelFile
		}
	}
	return files, nil
}

func modelFile(files map[string][]byte) string {
	for _, name := range modelFiles {
		if _, ok := files[name]; ok {
			return name
		}
	}
	return ""
}

// readFiles reads every listed file, in order of name so that the first error is always the same, and verifies its digest.
func readFiles(dir fs.FS, digests map[string]string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, name := range slices.Sorted(maps.Keys(digests)) {
		limit := int64(maxOtherFile)
		if slices.Contains(modelFiles, name) {
			limit = maxModelFile
		}
		data, err := readFile(dir, name, limit)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		if got := hex.EncodeToString(sum[:]); got != digests[name] {
			return nil, fmt.Errorf("%s has SHA-256 %s, bundle.json says %q: the file was changed after the bundle was made", name, got, digests[name])
		}
		files[name] = data
	}
	return files, nil
}

func readFile(dir fs.FS, name string, limit int64) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, fmt.Errorf("bundle file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("bundle file %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("bundle file %s is larger than %d bytes", name, limit)
	}
	return data, nil
}

// agree makes sure that the row the contract makes is the row the model was trained on, and that the model gives one probability.
func (b *Bundle) agree() error {
	want, have := b.Model.FeatureNames(), b.Contract.FeatureNames()
	if len(have) != b.Model.Features() {
		return fmt.Errorf("the contract has %d features, the model %d", len(have), b.Model.Features())
	}
	for i, name := range want {
		if have[i] != name {
			return fmt.Errorf("feature %d is %q in the contract, %q in the model: names and order must be the same", i, have[i], name)
		}
	}
	if b.Model.Outputs() != 1 {
		return fmt.Errorf("the model has %d outputs, a bundle's model has one probability of fraud", b.Model.Outputs())
	}
	if !slices.Contains(probabilities, b.Model.Objective()) {
		return fmt.Errorf("the objective %q does not give a probability: use one of %v", b.Model.Objective(), probabilities)
	}
	return nil
}

// agreeProfile makes sure that the profile is of the rows that the contract makes.
func (b *Bundle) agreeProfile() error {
	if b.Profile == nil {
		return nil
	}
	want := append(b.Contract.FeatureNames(), drift.Probability, drift.Decision)
	if len(b.Profile.Features) != len(want) {
		return fmt.Errorf("the profile has %d features, %d are needed: the contract's, %s and %s", len(b.Profile.Features), len(want), drift.Probability, drift.Decision)
	}
	for i, name := range want {
		if b.Profile.Features[i].Name != name {
			return fmt.Errorf("feature %d is %q in the profile, %q is needed: make the profile anew with mlmonitor model profile", i, b.Profile.Features[i].Name, name)
		}
	}
	return nil
}

// probabilities are the objectives whose prediction lies in [0, 1].
var probabilities = []string{"binary", "cross_entropy", "binary:logistic", "reg:logistic"}
