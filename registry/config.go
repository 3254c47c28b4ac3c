package registry

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// Config says which registry is asked, and for what. The names of the first are MLflow's own.
type Config struct {
	TrackingURI string       `envconfig:"MLFLOW_TRACKING_URI" desc:"MLflow server, such as https://mlflow:5000; empty: the bundle is BUNDLE_DIR"`
	Username    string       `envconfig:"MLFLOW_TRACKING_USERNAME" desc:"user of MLflow's basic auth"`
	Password    kafka.Secret `envconfig:"MLFLOW_TRACKING_PASSWORD" desc:"password of the same"`
	Token       kafka.Secret `envconfig:"MLFLOW_TRACKING_TOKEN" desc:"bearer token, for an MLflow behind a gate that wants one"`
	CAFile      string       `envconfig:"MLFLOW_TRACKING_SERVER_CERT_PATH" desc:"PEM file of the certificate authorities to trust instead of the system's"`
	Model       string       `envconfig:"MLFLOW_MODEL" default:"fraud-detector" desc:"registered model"`
	Alias       string       `envconfig:"MLFLOW_ALIAS" default:"champion" desc:"alias of the version that decides"`

	Challenger string `envconfig:"MLFLOW_CHALLENGER_ALIAS" default:"challenger" desc:"alias of the version that is scored in the champion's shadow, where it is set; empty: none"`

	CacheDir string        `envconfig:"MODEL_CACHE_DIR" default:"model-cache" desc:"directory of the last good bundles, so that a start without MLflow works"`
	Poll     time.Duration `envconfig:"MODEL_POLL_INTERVAL" default:"10s" desc:"time between two looks at what is to decide"`

	// PasswordNow and TokenNow read them again, for each request; nil where they do not change while the process runs.
	PasswordNow func() (kafka.Secret, error) `ignored:"true" json:"-"`
	TokenNow    func() (kafka.Secret, error) `ignored:"true" json:"-"`
}

// UsesMLflow says whether bundles come from there.
func (c *Config) UsesMLflow() bool { return c.TrackingURI != "" }

// Validate names the variable that is wrong.
func (c *Config) Validate() error {
	if c.Poll < 100*time.Millisecond || c.Poll > time.Hour {
		return fmt.Errorf("MODEL_POLL_INTERVAL is %v: set it to 100ms … 1h", c.Poll)
	}
	if !c.UsesMLflow() {
		return nil
	}
	u, err := url.Parse(c.TrackingURI)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return errors.New("MLFLOW_TRACKING_URI is no http:// or https:// address without a user: credentials go into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD")
	}
	if (c.Username == "") != (c.Password == "") {
		return errors.New("MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD belong together: set both or neither")
	}
	if c.Username != "" && c.Token != "" {
		return errors.New("MLFLOW_TRACKING_TOKEN and MLFLOW_TRACKING_USERNAME are both set: use one")
	}
	if (c.Username != "" || c.Token != "") && u.Scheme == "http" && !loopback(u.Hostname()) {
		return errors.New("MLFLOW_TRACKING_URI is http:// and would send the credentials in clear: use https://")
	}
	if c.Model == "" || len(c.Model) > 200 || c.Alias == "" || len(c.Alias) > 200 {
		return errors.New("MLFLOW_MODEL and MLFLOW_ALIAS must have 1 to 200 bytes")
	}
	if c.CacheDir == "" {
		return errors.New("MODEL_CACHE_DIR is empty: name a directory that stays across restarts")
	}
	if c.CAFile != "" {
		if _, err := os.Stat(c.CAFile); err != nil {
			return fmt.Errorf("MLFLOW_TRACKING_SERVER_CERT_PATH: %w", err)
		}
	}
	return nil
}

func loopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }
