package app

import (
	"fmt"
	"io"
	"log/slog"
)

// Logger writes JSON lines.
func Logger(w io.Writer, cfg *Config, role string) *slog.Logger {
	level, err := logLevel(cfg.LogLevel)
	if err != nil {
		level = slog.LevelInfo // Validate has refused it before
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})).With("role", role, "instance", cfg.Instance)
}

func logLevel(name string) (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(name)); err != nil {
		return 0, fmt.Errorf("LOG_LEVEL is %q: use debug, info, warn or error", name)
	}
	return level, nil
}
