package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Keycloak starts a real one for this test, with a realm: its JSON, in which REDIRECT stands for where a login may lead back to. It ends with the test. It gives the issuer's address.
func Keycloak(t T, realm, redirect string) (issuer string) {
	t.Helper()
	skipWhenShort(t, "Keycloak")
	sc, err := newScript("keycloak.sh")
	if err != nil {
		t.Fatalf("start Keycloak: %v", err)
	}
	t.Cleanup(func() {
		if err := sc.remove(); err != nil {
			t.Logf("stop Keycloak: %v", err)
		}
	})
	if err := os.WriteFile(filepath.Join(sc.dir, "realm.json"), []byte(strings.ReplaceAll(realm, "REDIRECT", redirect)), 0o600); err != nil {
		t.Fatalf("start Keycloak: %v", err)
	}
	ports, err := FreePorts(1)
	if err == nil {
		err = sc.start(fmt.Sprintf("KEYCLOAK_PORT=%d", ports[0]))
	}
	if err != nil {
		t.Fatalf("start Keycloak: %v", err)
	}
	return fmt.Sprintf("http://127.0.0.1:%d/realms/shop", ports[0])
}
