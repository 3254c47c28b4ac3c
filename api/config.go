package api

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// Config says where the API listens, whom it trusts, and how much it takes.
type Config struct {
	Host string `envconfig:"API_HOST" default:"127.0.0.1" desc:"address that the API listens on"`
	Port int    `envconfig:"API_PORT" default:"8000" desc:"port of the same"`

	CertFile string `envconfig:"API_TLS_CERT_FILE" desc:"PEM file of the server's certificate; read again when it changes"`
	KeyFile  string `envconfig:"API_TLS_KEY_FILE" desc:"PEM file of its key"`

	Auth     string `envconfig:"API_AUTH" default:"oidc" desc:"oidc: bearer tokens of API_OIDC_ISSUER; off: everybody may do everything"`
	Issuer   string `envconfig:"API_OIDC_ISSUER" desc:"issuer of the tokens, such as https://id.example.com/realms/payments; its keys are read from there"`
	Audience string `envconfig:"API_OIDC_AUDIENCE" default:"mlmonitor" desc:"what a token's aud must have"`

	DatabaseURL kafka.Secret `envconfig:"API_DATABASE_URL" desc:"audit database, as AUDIT_READER_ROLE: verdicts are found by transaction id then; empty: they are not"`

	Timeout     time.Duration `envconfig:"API_TIMEOUT" default:"2s" desc:"time to wait for a verdict; then the answer is 504, and the verdict is found by the transaction's id when it comes"`
	MaxInFlight int           `envconfig:"API_MAX_IN_FLIGHT" default:"2000" desc:"transactions that may wait for their verdicts at a time; beyond, the answer is 503"`
	Remember    int           `envconfig:"API_REMEMBER" default:"100000" desc:"verdicts of the last transactions that a repeated transaction id is answered from, without publishing it again"`
	ClientRate  float64       `envconfig:"API_CLIENT_RATE" default:"1000" desc:"transactions a second of one client, who may send as many at once; beyond, the answer is 429"`
}

// Validate names the variable that is wrong.
func (c *Config) Validate() error {
	if c.Port < 0 || c.Port > 65535 {
		return fmt.Errorf("API_PORT is %d: set it to 0 … 65535", c.Port)
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return errors.New("API_TLS_CERT_FILE and API_TLS_KEY_FILE belong together: set both or neither")
	}
	switch c.Auth {
	case "off":
	case "oidc":
		u, err := url.Parse(c.Issuer)
		if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
			return errors.New("API_OIDC_ISSUER is no https:// address: set it to the issuer of the tokens, or API_AUTH=off to let everybody in")
		}
		if c.Audience == "" {
			return errors.New("API_OIDC_AUDIENCE is empty: a token for anybody else would do")
		}
	default:
		return fmt.Errorf("API_AUTH is %q: use oidc or off", c.Auth)
	}
	if c.Timeout < 10*time.Millisecond || c.Timeout > time.Minute {
		return fmt.Errorf("API_TIMEOUT is %v: set it to 10ms … 1m", c.Timeout)
	}
	if c.MaxInFlight < 1 || c.MaxInFlight > 100_000 {
		return fmt.Errorf("API_MAX_IN_FLIGHT is %d: set it to 1 … 100000", c.MaxInFlight)
	}
	if c.Remember < 0 || c.Remember > 10_000_000 {
		return fmt.Errorf("API_REMEMBER is %d: set it to 0 … 10000000", c.Remember)
	}
	if !(c.ClientRate >= 1 && c.ClientRate <= 1e6) {
		return fmt.Errorf("API_CLIENT_RATE is %v: set it to 1 … 1000000", c.ClientRate)
	}
	return nil
}

func loopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }
