package compose

import (
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestImageIsSmallAndRunsAsNobody(t *testing.T) {
	text := readFile(t, "Dockerfile")
	var last []string // instructions of the last stage
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "FROM ") {
			last = nil
			if image := strings.Fields(line)[1]; image != "scratch" && !regexp.MustCompile(`:[0-9]+\.[0-9]+\.[0-9]+-`).MatchString(image) {
				t.Errorf("%s names no version", image)
			}
		}
		last = append(last, line)
	}
	stage := strings.Join(last, "\n")
	for _, want := range []string{"FROM scratch", "USER 65532:65532", "HEALTHCHECK", "ca-certificates.crt", "bundles/sample /bundles/sample"} {
		if !strings.Contains(stage, want) {
			t.Errorf("the image lacks %q", want)
		}
	}
	if strings.Contains(strings.ToLower(text), "secret") || strings.Contains(strings.ToLower(text), "password") {
		t.Error("the Dockerfile knows a secret")
	}
}

func TestSecretsStayOutOfGitAndOfTheImage(t *testing.T) {
	if !strings.Contains(readFile(t, ".gitignore"), "\n/secrets/\n") {
		t.Error(".gitignore does not leave secrets/ out")
	}
	lines := strings.Split(readFile(t, ".dockerignore"), "\n")
	first := ""
	for _, line := range lines {
		if line != "" && !strings.HasPrefix(line, "#") && first == "" {
			first = line
		}
		if strings.Contains(line, "secret") && strings.HasPrefix(line, "!") {
			t.Errorf(".dockerignore lets %s in", line)
		}
	}
	if first != "*" {
		t.Errorf(".dockerignore starts with %q: it must leave everything out first", first)
	}
}

func TestBuildGetsEveryFolderOfTheProduct(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if .Main}}{{$.Dir}}{{end}}{{end}}", "./cmd/mlmonitor")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	base, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	ignore := "\n" + readFile(t, ".dockerignore")
	for _, dir := range strings.Fields(string(out)) {
		path, err := filepath.Rel(base, dir)
		if err != nil {
			t.Fatal(err)
		}
		if top, _, _ := strings.Cut(path, "/"); !strings.Contains(ignore, "\n!"+top+"\n") {
			t.Errorf(".dockerignore leaves out %s, which the build needs", top)
		}
	}
}

// makeSecrets runs the script that `make secrets` runs.
func makeSecrets(t *testing.T, dir string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), filepath.Join(root, "deploy/compose/secrets.sh"), dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// mlflowCertificate looks whether clients take MLflow's certificate, under the names that they know it by.
func mlflowCertificate(t *testing.T, dir string) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "mlflow_tls_crt"), filepath.Join(dir, "mlflow_tls_key"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if ca, err := os.ReadFile(filepath.Join(dir, "mlflow_ca")); err != nil || !roots.AppendCertsFromPEM(ca) {
		t.Fatalf("mlflow_ca: %v", err)
	}
	for _, name := range []string{"mlflow", "localhost", "127.0.0.1"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMakeSecretsMakesEachOnceAndOnlyForItsOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "secrets")
	makeSecrets(t, dir)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory is %v, %v: only its owner may enter", info.Mode(), err)
	}
	found := map[string]string{}
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for name := range theProject(t).Secrets {
		found[name] = read(name)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(found)+1 { // and the directory of MLflow's authority
		t.Errorf("there are %d files for %d secrets", len(entries), len(found))
	}
	if info, err := os.Stat(filepath.Join(dir, "mlflow/ca.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the authority's key is %v, %v: nobody else reads it", info, err)
	}
	mlflowCertificate(t, dir)
	passwords := map[string]bool{}
	for name, text := range found {
		if !strings.HasSuffix(name, "_password") {
			continue
		}
		if !regexp.MustCompile(`^[0-9a-f]{48}$`).MatchString(text) || passwords[text] {
			t.Errorf("%s is not a random password of its own", name)
		}
		passwords[text] = true
	}
	for _, role := range []string{"owner", "audit"} {
		u, err := url.Parse(found[role+"_url"])
		if err != nil {
			t.Fatal(err)
		}
		if password, _ := u.User.Password(); u.User.Username() != role || password != found[role+"_password"] || u.Host != "postgres:5432" || u.Path != "/mlmonitor" {
			t.Errorf("%s_url does not lead %s to its database", role, role)
		}
	}
	makeSecrets(t, dir)
	for name, text := range found {
		if read(name) != text {
			t.Errorf("a second call changed %s: Postgres would not know it", name)
		}
	}
	// A certificate that ends soon is made anew, by the same authority; that of somebody else's authority stays.
	t.Setenv("RENEW", "1")
	makeSecrets(t, dir)
	if mlflowCertificate(t, dir); read("mlflow_ca") != found["mlflow_ca"] || read("mlflow_tls_crt") == found["mlflow_tls_crt"] {
		t.Error("MLflow's certificate is the old one, or of another authority")
	}
	if err := os.RemoveAll(filepath.Join(dir, "mlflow")); err != nil {
		t.Fatal(err)
	}
	theirs := read("mlflow_tls_crt")
	if makeSecrets(t, dir); read("mlflow_tls_crt") != theirs || read("mlflow_ca") != found["mlflow_ca"] {
		t.Error("somebody's certificate was replaced")
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if strings.HasPrefix(d.Name(), ".") {
			t.Errorf("%s was left", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
