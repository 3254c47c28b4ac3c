package audit

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// database is what DATABASE_URL names: one of the two.
type database struct {
	postgres *pgxpool.Config
	sqlite   string // path of the file
}

const urlForms = "use postgres://user:password@host:5432/database?sslmode=verify-full or sqlite:PATH"

// parseDatabaseURL never repeats the text it could not read: a misplaced character may have made the password part of anything.
func parseDatabaseURL(secret kafka.Secret) (database, error) {
	text := secret.Reveal()
	if text == "" {
		return database{}, errors.New("DATABASE_URL is empty: " + urlForms + "; it may come from the file that DATABASE_URL_FILE names")
	}
	if path, ok := strings.CutPrefix(text, "sqlite:"); ok {
		if path == "" || path == ":memory:" {
			return database{}, errors.New("DATABASE_URL: sqlite: needs the path of a file, as in sqlite:audit.db")
		}
		return database{sqlite: path}, nil
	}
	if !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://") {
		return database{}, errors.New("DATABASE_URL names no database that is known: " + urlForms)
	}
	u, err := url.Parse(text)
	if err != nil {
		return database{}, errors.New("DATABASE_URL is not a URL: percent-encode what is not a letter or digit in user and password; " + urlForms)
	}
	cfg, err := pgxpool.ParseConfig(text)
	if err != nil {
		var parse *pgconn.ParseConfigError
		if errors.As(err, &parse) && errors.Unwrap(parse) != nil {
			err = errors.Unwrap(parse) // without the URL
		}
		password, _ := u.User.Password()
		return database{}, fmt.Errorf("DATABASE_URL: %s; %s", hide(err.Error(), password, u.Query().Get("password")), urlForms)
	}
	return database{postgres: cfg}, nil
}

// follow has each connection that is made take user and password from the URL as it is then; now is nil where that does not change.
func follow(pool *pgxpool.Config, now func() (kafka.Secret, error)) {
	if now == nil {
		return
	}
	pool.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		secret, err := now()
		if err != nil {
			return fmt.Errorf("DATABASE_URL: %w", err)
		}
		db, err := parseDatabaseURL(secret)
		if err != nil {
			return err
		}
		if db.postgres == nil {
			return errors.New("DATABASE_URL names another kind of database now: restart this process")
		}
		c.User, c.Password = db.postgres.ConnConfig.User, db.postgres.ConnConfig.Password
		return nil
	}
}

// hide takes secrets out of a text.
func hide(text string, secrets ...string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "[secret]")
		}
	}
	return text
}

// Open makes the store that DATABASE_URL names. It does not connect yet: a database that is down is waited for, by the Writer.
func Open(ctx context.Context, cfg Config) (Store, error) {
	db, err := parseDatabaseURL(cfg.DatabaseURL)
	if err != nil {
		return nil, err
	}
	if db.postgres != nil {
		follow(db.postgres, cfg.DatabaseURLNow)
		return openPostgres(ctx, db.postgres)
	}
	return openSQLite(db.sqlite)
}
