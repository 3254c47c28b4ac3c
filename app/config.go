package app

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"reflect"
	"strings"

	"github.com/kelseyhightower/envconfig"

	"github.com/mlmonitor/mlmonitor/api"
	"github.com/mlmonitor/mlmonitor/audit"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/drift"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/registry"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// Config is what every role has: who it is, how it logs, where operators look.
type Config struct {
	Instance string `envconfig:"INSTANCE_ID" desc:"name of this process, stable across restarts and different from its neighbours'; default: the host's name"`
	LogLevel string `envconfig:"LOG_LEVEL" default:"info" desc:"debug, info, warn or error"`
	OpsHost  string `envconfig:"OPS_HOST" default:"127.0.0.1" desc:"address that /health, /ready and /metrics listen on"`
	OpsPort  int    `envconfig:"OPS_PORT" desc:"port of the same; default: demo 9100, score 9101, audit 9102, api 9103"`
	OpsPprof bool   `envconfig:"OPS_PPROF" default:"false" desc:"serve profiles of the running process under /debug/pprof/ of the same port, for go tool pprof"`
	Traces   string `envconfig:"OTEL_EXPORTER_OTLP_ENDPOINT" desc:"OpenTelemetry collector that gets traces, by OTLP over HTTP, such as https://collector:4318; empty: none. those of its other variables that the SDK for Go reads work too"`
}

// Validate names the variable that is wrong.
func (c *Config) Validate() error {
	if c.OpsPort < 0 || c.OpsPort > 65535 {
		return fmt.Errorf("OPS_PORT is %d: set it to 1 … 65535", c.OpsPort)
	}
	if _, err := logLevel(c.LogLevel); err != nil {
		return err
	}
	if at, err := url.Parse(c.Traces); err != nil || c.Traces != "" && (at.Scheme != "http" && at.Scheme != "https" || at.Host == "" || at.User != nil) {
		return errors.New("OTEL_EXPORTER_OTLP_ENDPOINT is no http:// or https:// address without a user: what the collector wants to see goes into OTEL_EXPORTER_OTLP_HEADERS")
	}
	return nil
}

// ScorerConfig says which bundle is scored, and by what.
type ScorerConfig struct {
	BundleDir string        `envconfig:"BUNDLE_DIR" desc:"directory of the bundle; \"sample\" is the one inside the program"`
	elsewhere bool          // bundles come from MLflow
	Engine    scorer.Engine `envconfig:"SCORER_ENGINE" default:"auto" desc:"auto and forest: the exact engine; leaves: for formats that only it reads, not exact"`
}

// Validate names the variable that is wrong.
func (c *ScorerConfig) Validate() error {
	if c.BundleDir != "" && c.elsewhere {
		return errors.New("BUNDLE_DIR and MLFLOW_TRACKING_URI are both set: use one")
	}
	if c.BundleDir == "" && !c.elsewhere {
		return errors.New("BUNDLE_DIR is empty: set it to the directory of a bundle, to \"sample\" for the one inside the program, or set MLFLOW_TRACKING_URI")
	}
	switch c.Engine {
	case scorer.Auto, scorer.Forest, scorer.Leaves:
		return nil
	}
	return fmt.Errorf("SCORER_ENGINE is %q: use auto, forest or leaves", c.Engine)
}

// section is one package's configuration.
type section interface{ Validate() error }

// Load fills the sections from the environment and validates them. A secret may come from the file that NAME_FILE names instead.
func Load(sections ...section) error {
	if err := fill(sections); err != nil {
		return err
	}
	return validate(sections)
}

// LoadDemo is Load for the demo, which brings its own database and is its own instance.
func LoadDemo(cfg *Config, c *consumer.Config, a *audit.Config, web *api.Config) error {
	sections := []section{cfg, c, a, web}
	if err := fill(sections); err != nil {
		return err
	}
	cfg.Instance, c.Instance, a.Instance = "demo", "demo", "demo"
	a.DatabaseURL = "sqlite:audit.db" // in the data directory, once that is known
	web.Auth, web.CertFile, web.KeyFile = "off", "", ""
	return validate(sections)
}

func validate(sections []section) error {
	for _, s := range sections {
		if err := s.Validate(); err != nil {
			return err
		}
	}
	return nil
}

func fill(sections []section) error {
	for _, s := range sections {
		if c, ok := s.(*consumer.Config); ok {
			sections = append(sections, &c.Drift) // a package's own section within it
		}
	}
	for _, s := range sections {
		if err := envconfig.Process("", s); err != nil {
			var parse *envconfig.ParseError
			if errors.As(err, &parse) {
				return fmt.Errorf("%s is %q: a %s is needed, see `mlmonitor config`", parse.KeyName, parse.Value, parse.TypeName)
			}
			return fmt.Errorf("read the configuration: %w", err)
		}
		if err := secretsFromFiles(s); err != nil {
			return err
		}
		switch c := s.(type) {
		case *kafka.Config:
			c.PasswordNow = again("KAFKA_SASL_PASSWORD")
		case *registry.Config:
			c.PasswordNow, c.TokenNow = again("MLFLOW_TRACKING_PASSWORD"), again("MLFLOW_TRACKING_TOKEN")
		case *audit.Config:
			c.DatabaseURLNow = again("DATABASE_URL")
		case *api.Config:
			c.DatabaseURLNow = again("API_DATABASE_URL")
		}
		if c, ok := s.(*Config); ok && c.Instance == "" {
			host, err := os.Hostname()
			if err != nil {
				return fmt.Errorf("INSTANCE_ID is empty and the host has no name, set it: %w", err)
			}
			c.Instance = host
		}
	}
	for _, s := range sections {
		if models, ok := s.(*registry.Config); ok && models.UsesMLflow() {
			for _, s := range sections {
				if c, ok := s.(*ScorerConfig); ok {
					c.elsewhere = true
				}
			}
		}
	}
	// The instance is known now: the groups' members are named after it.
	var instance string
	for _, s := range sections {
		switch c := s.(type) {
		case *Config:
			instance = c.Instance
		case *consumer.Config:
			c.Instance = instance
		case *audit.Config:
			c.Instance = instance
		}
	}
	return nil
}

var secretType = reflect.TypeFor[kafka.Secret]()

const maxSecretFile = 64 << 10

// again reads a secret from its file whenever it is called, so that it can be replaced while the process runs; nil where it is in no file, or in a pipe, which can be read once.
func again(name string) func() (kafka.Secret, error) {
	file := os.Getenv(name + "_FILE")
	if info, err := os.Stat(file); file == "" || err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return func() (kafka.Secret, error) {
		data, err := readSecret(file)
		if err != nil {
			return "", fmt.Errorf("%s_FILE: %w", name, err)
		}
		text := strings.TrimRight(string(data), "\r\n")
		if text == "" { // it is being written: to log in without a password would be refused for good
			return "", fmt.Errorf("%s_FILE: %s is empty", name, file)
		}
		return kafka.Secret(text), nil
	}
}

func secretsFromFiles(section any) error {
	v := reflect.ValueOf(section).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("envconfig")
		file := os.Getenv(name + "_FILE")
		if v.Field(i).Type() != secretType || file == "" {
			continue
		}
		if os.Getenv(name) != "" {
			return fmt.Errorf("%s and %s_FILE are both set: use one", name, name)
		}
		data, err := readSecret(file)
		if err != nil {
			return fmt.Errorf("%s_FILE: %w", name, err)
		}
		v.Field(i).SetString(strings.TrimRight(string(data), "\r\n"))
	}
	return nil
}

// readSecret reads a file or a pipe, whose size nobody knows before.
func readSecret(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err == nil && len(data) > maxSecretFile {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxSecretFile)
	}
	return data, err
}

// Variable is one environment variable that the program reads.
type Variable struct {
	Name        string `json:"name"`
	Default     string `json:"default"`
	Value       string `json:"value"` // as set now; "[secret]" for a secret
	Description string `json:"description"`
	Secret      bool   `json:"secret"` // NAME_FILE works too
	Section     string `json:"section"`
}

// Section is one package's part of the configuration.
type Section struct {
	Title   string
	Readers string // Markdown: the commands that read it, and what else is to be known
	Config  any
}

// Sections are all of them, in the order of the reference.
func Sections() []Section {
	return []Section{
		{"Process", "Read by `score`, `audit`, `api`, `demo`, `migrate`, `topics`, and by whatever connects to Kafka. The demo is its own instance.", Config{}},
		{"Kafka", "Read by `score`, `audit`, `api`, `topics`, and by whatever connects to Kafka. The demo has its own brokers.", kafka.Config{}},
		{"Topics that are made", "Read by `topics`.", kafka.Layout{}},
		{"Bundle", "Read by `score` and `api`; `drift report` and `replay` take `BUNDLE_DIR` where no `--bundle` is given, the commands of `model` `SCORER_ENGINE` where no `--engine` is.", ScorerConfig{}},
		{"Models of MLflow", "Read by `score` and `api`, the commands of `model` that ask MLflow, and `replay` for models:/ names.", registry.Config{}},
		{"Scoring", "Read by `score` and `demo`; `CONSUMER_GROUP` also by `api` and by the commands that look at the scorers' group or write in its name: `dlq`, `doctor`, `topics unblock`, `topics users`, `model`, `replay`.", consumer.Config{}},
		{"Drift", "Read by `score` and `demo`, and by `drift report` for the windows of its `--every`.", drift.Config{}},
		{"Audit", "Read by `audit` and `migrate`, and by `demo`, which brings its own database; `AUDIT_GROUP` also by `topics users`.", audit.Config{}},
		{"HTTP API", "Read by `api` and `demo`; the demo lets everybody in, without TLS.", api.Config{}},
	}
}

// Variables lists all of them.
func Variables() []Variable {
	var all []Variable
	for _, section := range Sections() {
		t := reflect.TypeOf(section.Config)
		for i := range t.NumField() {
			f := t.Field(i)
			name := f.Tag.Get("envconfig")
			if name == "" {
				continue
			}
			v := Variable{Name: name, Default: f.Tag.Get("default"), Description: f.Tag.Get("desc"), Secret: f.Type == secretType, Section: section.Title}
			if v.Value = os.Getenv(name); v.Secret {
				v.Value = kafka.Secret(v.Value).String()
			}
			all = append(all, v)
		}
	}
	return all
}
