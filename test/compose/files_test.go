package compose

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
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

// servers are those with a certificate of their own: the secret that holds it, that of its key, and the names that clients know them by.
var servers = []struct {
	name, cert, key string
	hosts           []string
	usages          []x509.ExtKeyUsage
}{
	{"kafka", "kafka_tls_pem", "kafka_tls_pem", []string{"kafka", "kafka-2", "kafka-3", "localhost"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}},
	{"postgres", "postgres_tls_crt", "postgres_tls_key", []string{"postgres"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}},
	{"mlflow", "mlflow_tls_crt", "mlflow_tls_key", []string{"mlflow", "localhost", "127.0.0.1"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}},
}

// holdCertificates looks whether clients take the servers' certificates, under the names that they know them by, and none for another's.
func holdCertificates(t *testing.T, dir string) {
	t.Helper()
	for _, s := range servers {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, s.cert), filepath.Join(dir, s.key))
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range servers {
			roots := x509.NewCertPool()
			if ca, err := os.ReadFile(filepath.Join(dir, other.name+"_ca")); err != nil || !roots.AppendCertsFromPEM(ca) {
				t.Fatalf("%s_ca: %v", other.name, err)
			}
			for _, host := range s.hosts {
				for _, usage := range s.usages {
					if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, KeyUsages: []x509.ExtKeyUsage{usage}}); (err == nil) != (other.name == s.name) {
						t.Errorf("%s as %s, by the authority of %s: %v", s.name, host, other.name, err)
					}
				}
			}
		}
	}
}

// holdAdministrator looks whether brokers take who makes topics and users, and nobody takes him for a broker.
func holdAdministrator(t *testing.T, dir string) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "kafka_admin_pem"), filepath.Join(dir, "kafka_admin_pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if ca, err := os.ReadFile(filepath.Join(dir, "kafka_ca")); err != nil || !roots.AppendCertsFromPEM(ca) {
		t.Fatalf("kafka_ca: %v", err)
	}
	for usage, may := range map[x509.ExtKeyUsage]bool{x509.ExtKeyUsageClientAuth: true, x509.ExtKeyUsageServerAuth: false} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}}); (err == nil) != may {
			t.Errorf("the administrator's certificate, for usage %v: %v", usage, err)
		}
	}
	if name := pair.Leaf.Subject.String(); name != "CN=admin" {
		t.Errorf("the administrator is %s", name)
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
	if len(entries) != len(found)+len(servers) { // and the directories of their authorities
		t.Errorf("there are %d files for %d secrets", len(entries), len(found))
	}
	for _, s := range servers {
		if info, err := os.Stat(filepath.Join(dir, s.name, "ca.key")); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the key of the authority of %s is %v, %v: nobody else reads it", s.name, info, err)
		}
	}
	holdCertificates(t, dir)
	holdAdministrator(t, dir)
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
	for _, role := range []string{"owner", "audit", "reader"} {
		u, err := url.Parse(found[role+"_url"])
		if err != nil {
			t.Fatal(err)
		}
		if password, _ := u.User.Password(); u.User.Username() != role || password != found[role+"_password"] || u.Host != "postgres:5432" || u.Path != "/mlmonitor" {
			t.Errorf("%s_url does not lead %s to its database", role, role)
		}
		if q := u.Query(); q.Get("sslmode") != "verify-full" || q.Get("sslrootcert") != "/run/secrets/postgres_ca" {
			t.Errorf("%s_url does not look who answers", role)
		}
	}
	makeSecrets(t, dir)
	for name, text := range found {
		if read(name) != text {
			t.Errorf("a second call changed %s: Postgres would not know it", name)
		}
	}
	// An address of before is mended; one that leads elsewhere is somebody's.
	before, elsewhere := strings.Replace(found["audit_url"], "?sslmode=verify-full&sslrootcert=/run/secrets/postgres_ca", "?sslmode=disable", 1), "postgres://reader@db.example.com/mlmonitor?sslmode=disable"
	for name, text := range map[string]string{"audit_url": before, "reader_url": elsewhere} {
		if err := errors.Join(os.Remove(filepath.Join(dir, name)), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o444)); err != nil {
			t.Fatal(err)
		}
	}
	makeSecrets(t, dir)
	if read("audit_url") != found["audit_url"] || read("reader_url") != elsewhere {
		t.Errorf("the addresses are %s and %s", read("audit_url"), read("reader_url"))
	}
	// Where the key of an authority is kept elsewhere, nobody makes another authority.
	kept := filepath.Join(dir, "kafka/ca.key")
	if err := os.Rename(kept, kept+".kept"); err != nil {
		t.Fatal(err)
	}
	if makeSecrets(t, dir); read("kafka_ca") != found["kafka_ca"] || read("kafka_tls_pem") != found["kafka_tls_pem"] || read("kafka_admin_pem") != found["kafka_admin_pem"] {
		t.Error("there is another authority of Kafka")
	}
	renew := exec.CommandContext(t.Context(), filepath.Join(root, "deploy/compose/secrets.sh"), dir)
	renew.Env = append(os.Environ(), "RENEW=1")
	if out, err := renew.CombinedOutput(); err == nil || !strings.Contains(string(out), "ca.key is not there") {
		t.Errorf("without its authority's key a certificate is made anew: %v, %s", err, out)
	}
	if err := os.Rename(kept+".kept", kept); err != nil {
		t.Fatal(err)
	}
	// A certificate that ends soon is made anew, by the same authority; that of somebody else's authority stays.
	t.Setenv("RENEW", "1")
	makeSecrets(t, dir)
	holdCertificates(t, dir)
	holdAdministrator(t, dir)
	if read("kafka_admin_pem") == found["kafka_admin_pem"] {
		t.Error("the administrator's certificate is the old one")
	}
	for _, s := range servers {
		if read(s.name+"_ca") != found[s.name+"_ca"] || read(s.cert) == found[s.cert] {
			t.Errorf("the certificate of %s is the old one, or of another authority", s.name)
		}
		if err := os.RemoveAll(filepath.Join(dir, s.name)); err != nil {
			t.Fatal(err)
		}
		theirs := read(s.cert)
		if makeSecrets(t, dir); read(s.cert) != theirs || read(s.name+"_ca") != found[s.name+"_ca"] {
			t.Errorf("somebody's certificate of %s was replaced", s.name)
		}
	}
	if err := os.Remove(filepath.Join(dir, "kafka_admin_pem")); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), filepath.Join(root, "deploy/compose/secrets.sh"), dir).CombinedOutput(); err == nil || !strings.Contains(string(out), "kafka_admin_pem is missing") {
		t.Errorf("of somebody's authority, without the administrator's certificate: %v, %s", err, out)
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
