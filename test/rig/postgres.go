package rig

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Roles are the addresses of one database, for each who may use it. All but AdminURL go by TLS with verify-full.
type Roles struct {
	OwnerURL  string // owner: may create tables, and grants
	WriterURL string // audit: what the migrations grant it
	ReaderURL string // reader: reads what the migrations grant it
	AdminURL  string // the superuser, for tests that look behind the scenes
}

// Server is a real PostgreSQL. Its own Roles are of the database "mlmonitor", which tests share.
type Server struct {
	Roles

	script  script
	private bool
}

// sharedPostgres is the server of this test program.
var sharedPostgres struct {
	sync.Mutex
	server *Server
}

// Postgres gives a server that tests share. Under go test -short it skips the test.
func Postgres(t T) *Server {
	t.Helper()
	skipWhenShort(t, "PostgreSQL")
	sharedPostgres.Lock()
	defer sharedPostgres.Unlock()
	if sharedPostgres.server != nil {
		return sharedPostgres.server
	}
	var s *Server
	var err error
	if dir := os.Getenv("MLMONITOR_TEST_POSTGRES_DIR"); dir != "" {
		s, err = attach(script{dir: dir})
	} else {
		s, err = startPostgres()
	}
	if err != nil {
		t.Fatalf("start PostgreSQL: %v", err)
	}
	sharedPostgres.server = s
	return s
}

// PrivatePostgres starts a server for this test, which may hurt it. It ends with the test. Under go test -short the test is skipped.
func PrivatePostgres(t T) *Server {
	t.Helper()
	skipWhenShort(t, "PostgreSQL")
	s, err := startPostgres()
	if err != nil {
		t.Fatalf("start PostgreSQL: %v", err)
	}
	s.private = true
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s", s.script.logTails())
		}
		if err := s.script.remove(); err != nil {
			t.Logf("stop PostgreSQL: %v", err)
		}
	})
	return s
}

func startPostgres() (*Server, error) {
	sc, err := newScript("postgres.sh")
	if err != nil {
		return nil, err
	}
	ports, err := FreePorts(1)
	if err != nil {
		return nil, err
	}
	if err := sc.start("PGPORT=" + strconv.Itoa(ports[0])); err != nil {
		return nil, errors.Join(err, sc.remove())
	}
	return attach(sc)
}

// attach reads from the server's directory how to connect.
func attach(sc script) (*Server, error) {
	env, err := sc.environment()
	if err != nil {
		return nil, err
	}
	r := Roles{OwnerURL: env["PG_OWNER_URL"], WriterURL: env["PG_WRITER_URL"], ReaderURL: env["PG_READER_URL"], AdminURL: env["PG_ADMIN_URL"]}
	if r.OwnerURL == "" || r.WriterURL == "" || r.ReaderURL == "" || r.AdminURL == "" {
		return nil, fmt.Errorf("%s/env lacks an address: was the server started by postgres.sh?", sc.dir)
	}
	return &Server{Roles: r, script: sc}, nil
}

// databaseTimeout bounds the making and the dropping of a database.
const databaseTimeout = time.Minute

// Database makes an empty database that ends with the test. As in production, owner owns it, and nobody but the three roles may connect.
func (s *Server) Database(t T) Roles {
	t.Helper()
	name := strings.ReplaceAll(Unique("test"), "-", "_")
	create := fmt.Sprintf("CREATE DATABASE %[1]s OWNER owner; REVOKE ALL ON DATABASE %[1]s FROM PUBLIC; GRANT CONNECT ON DATABASE %[1]s TO audit, reader", name)
	if err := s.administer(strings.Split(create, ";")...); err != nil {
		t.Fatalf("make a database: %v", err)
	}
	t.Cleanup(func() {
		if err := s.administer("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Logf("drop the database: %v", err)
		}
	})
	var roles Roles
	for _, u := range []struct{ from, to *string }{
		{&s.OwnerURL, &roles.OwnerURL}, {&s.WriterURL, &roles.WriterURL}, {&s.ReaderURL, &roles.ReaderURL}, {&s.AdminURL, &roles.AdminURL},
	} {
		parsed, err := url.Parse(*u.from)
		if err != nil {
			t.Fatalf("make a database: %v", err)
		}
		parsed.Path = "/" + name
		*u.to = parsed.String()
	}
	return roles
}

// administer runs statements as the superuser, each on its own.
func (s *Server) administer(statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.AdminURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// Log is the file that the server logs to.
func (s *Server) Log() string { return filepath.Join(s.script.dir, "log") }

// Kill ends the server and all its sessions by SIGKILL, and returns when they are gone.
func (s *Server) Kill() error { return s.hurt("kill9") }

// Restart starts the server, after an orderly stop if it runs, and returns when it answers.
func (s *Server) Restart() error { return s.hurt("restart") }

// Pause freezes the server: its connections stay open, and it does not answer.
func (s *Server) Pause() error { return s.hurt("pause") }

// Resume thaws the server.
func (s *Server) Resume() error { return s.hurt("resume") }

func (s *Server) hurt(verb string) error {
	if !s.private {
		return errShared
	}
	return s.script.call(verb)
}
