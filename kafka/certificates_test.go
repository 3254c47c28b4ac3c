package kafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificateFiles makes a certificate that holds from an hour before now to a time, and its key.
func certificateFiles(t *testing.T, until time.Time) (file, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "scorer"}, NotBefore: until.Add(-90 * 24 * time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for name, block := range map[string]*pem.Block{file: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file, keyFile
}

func TestACertificateThatEndsIsToldBeforeAndAfter(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	well, wellKey := certificateFiles(t, now.Add(60*day))
	soon, soonKey := certificateFiles(t, now.Add(20*day))
	over, overKey := certificateFiles(t, now.Add(-day))
	early, earlyKey := certificateFiles(t, now.Add(120*day))
	none := filepath.Join(t.TempDir(), "empty")
	both := filepath.Join(t.TempDir(), "both")
	first, _ := os.ReadFile(over)
	second, _ := os.ReadFile(well)
	for name, text := range map[string]string{none: "no PEM", both: string(first) + string(second)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, file, key string
		want            State
		says            string
	}{
		{"well", well, wellKey, OK, "2026-04-30"},
		{"soon", soon, soonKey, Warn, "in 20 days"},
		{"over", over, overKey, Fail, "has expired"},
		{"early", early, earlyKey, Fail, "not valid before"},
		{"another's key", well, soonKey, Fail, "private key does not match"},
		{"no file", well + ".gone", wellKey, Fail, "no such file"},
		{"no certificate", none, wellKey, Fail, "holds no PEM certificate"},
		{"an authority", well, "", OK, "2026-04-30"},
		{"an authority that is over", over, "", Fail, "has expired"},
		{"one of two authorities", both, "", Warn, "one of 2"},
	} {
		f := ExamineCertificate(now, "X_FILE", c.file, c.key)
		if f.State != c.want || !strings.Contains(f.Found, c.says) || f.Check != "certificate X_FILE" || (f.State == OK) != (f.Mend == "") {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
}
