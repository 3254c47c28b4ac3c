package api

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// Config says where the API listens, whom it trusts, and how much it takes.
type Config struct {
	Host string `envconfig:"API_HOST" default:"127.0.0.1" desc:"address that the API listens on"`
	Port int    `envconfig:"API_PORT" default:"8000" desc:"port of the same"`

	TrustedProxies []string `envconfig:"API_TRUSTED_PROXIES" desc:"addresses or networks of the proxies before the API, separated by commas: what they say in X-Forwarded-For is believed"`

	CertFile string `envconfig:"API_TLS_CERT_FILE" desc:"PEM file of the server's certificate; read again when it changes"`
	KeyFile  string `envconfig:"API_TLS_KEY_FILE" desc:"PEM file of its key"`

	Auth     string `envconfig:"API_AUTH" default:"oidc" desc:"oidc: bearer tokens of API_OIDC_ISSUER; mtls: client certificates of API_TLS_CLIENT_CA_FILE; off: everybody may do everything"`
	Issuer   string `envconfig:"API_OIDC_ISSUER" desc:"issuer of the tokens, such as https://id.example.com/realms/payments; its keys are read from there"`
	Audience string `envconfig:"API_OIDC_AUDIENCE" default:"mlmonitor" desc:"what a token's aud must have"`

	ClientID     string       `envconfig:"API_OIDC_CLIENT_ID" desc:"the page's own id at the issuer, for its login by code flow with PKCE; empty: no login"`
	ClientSecret kafka.Secret `envconfig:"API_OIDC_CLIENT_SECRET" desc:"its secret, where the issuer wants one beside PKCE"`
	LoginScopes  string       `envconfig:"API_OIDC_LOGIN_SCOPES" default:"openid read" desc:"scopes that the login asks for"`
	PublicURL    string       `envconfig:"API_PUBLIC_URL" desc:"where browsers reach this API, such as https://fraud.example.com; the issuer must know its /login/callback"`

	ClientCAFile string  `envconfig:"API_TLS_CLIENT_CA_FILE" desc:"PEM file of the authorities of client certificates, with API_AUTH=mtls; read again when it changes"`
	Callers      Callers `envconfig:"API_MTLS_CALLERS" desc:"who may do what by certificate: URI, DNS name or common name, =, scopes joined by +; separated by commas, such as checkout=score,ana=read"`

	DatabaseURL kafka.Secret `envconfig:"API_DATABASE_URL" desc:"audit database, as AUDIT_READER_ROLE: verdicts are found then; empty: they are not"`
	// DatabaseURLNow reads it again, for each connection that is made; nil where it does not change.
	DatabaseURLNow func() (kafka.Secret, error) `ignored:"true"`

	DriftWindow  time.Duration `envconfig:"API_DRIFT_WINDOW" default:"1h" desc:"time up to now that /drift/status and the page compare with the profile"`
	DriftRecords int           `envconfig:"API_DRIFT_RECORDS" default:"100000" desc:"transactions, the latest of a range, that a drift report reads at most"`

	Timeout        time.Duration `envconfig:"API_TIMEOUT" default:"2s" desc:"time to wait for a verdict; then the answer is 504, and the verdict is found by the transaction's id when it comes"`
	MaxInFlight    int           `envconfig:"API_MAX_IN_FLIGHT" default:"2000" desc:"transactions that may wait for their verdicts at a time; beyond, the answer is 503"`
	MaxConnections int           `envconfig:"API_MAX_CONNECTIONS" default:"20000" desc:"connections at a time; those beyond wait to be taken"`
	Remember       int           `envconfig:"API_REMEMBER" default:"100000" desc:"verdicts of the last transactions that a repeated transaction id is answered from, without publishing it again"`
	Rate           float64       `envconfig:"API_RATE" default:"20000" desc:"transactions a second of all clients together; beyond, the answer is 429"`
	ClientRate     float64       `envconfig:"API_CLIENT_RATE" default:"1000" desc:"transactions a second of one client, who may send as many at once; beyond, the answer is 429"`

	Program string `ignored:"true"` // version of the program, which the page shows
}

// DefaultPort is API_PORT's.
const DefaultPort = 8000

// Callers are scopes by the name in a client's certificate.
type Callers map[string][]string

// Decode is of envconfig.Decoder.
func (c *Callers) Decode(text string) error {
	*c = Callers{}
	for _, pair := range strings.Split(text, ",") {
		if pair == "" {
			continue
		}
		at := strings.LastIndexByte(pair, '=')
		if at <= 0 {
			return fmt.Errorf("%q is not name=scope+scope", pair)
		}
		scopes := strings.Split(pair[at+1:], "+")
		for _, one := range scopes {
			if one != ScopeScore && one != ScopeRead && one != ScopeAdmin {
				return fmt.Errorf("%q is no scope: use score, read or admin", one)
			}
		}
		(*c)[pair[:at]] = scopes
	}
	return nil
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
	case "mtls":
		if c.CertFile == "" || c.ClientCAFile == "" {
			return errors.New("API_AUTH is mtls: set API_TLS_CERT_FILE, API_TLS_KEY_FILE and API_TLS_CLIENT_CA_FILE")
		}
		if len(c.Callers) == 0 {
			return errors.New("API_AUTH is mtls and API_MTLS_CALLERS is empty: nobody could do anything; set it to such as checkout=score,ana=read")
		}
	case "oidc":
		if !guarded(c.Issuer) {
			return errors.New("API_OIDC_ISSUER is no https:// address: set it to the issuer of the tokens, or API_AUTH=off to let everybody in")
		}
		if c.Audience == "" {
			return errors.New("API_OIDC_AUDIENCE is empty: a token for anybody else would do")
		}
		if c.ClientID != "" && c.PublicURL == "" {
			return errors.New("API_OIDC_CLIENT_ID is set: set API_PUBLIC_URL to the address of the page")
		}
		if !slices.Contains(strings.Fields(c.LoginScopes), "openid") {
			return fmt.Errorf("API_OIDC_LOGIN_SCOPES is %q: openid must be one of them", c.LoginScopes)
		}
	default:
		return fmt.Errorf("API_AUTH is %q: use oidc, mtls or off", c.Auth)
	}
	if _, err := parseProxies(c.TrustedProxies); err != nil {
		return err
	}
	if c.PublicURL != "" && !guarded(c.PublicURL) {
		return fmt.Errorf("API_PUBLIC_URL is %q: set it to the https:// address of the page", c.PublicURL)
	}
	if c.Auth != "mtls" && (c.ClientCAFile != "" || len(c.Callers) > 0) {
		return errors.New("API_TLS_CLIENT_CA_FILE and API_MTLS_CALLERS are for API_AUTH=mtls: set that, or unset both")
	}
	if c.Timeout < 10*time.Millisecond || c.Timeout > time.Minute {
		return fmt.Errorf("API_TIMEOUT is %v: set it to 10ms … 1m", c.Timeout)
	}
	if c.MaxInFlight < 1 || c.MaxInFlight > 100_000 {
		return fmt.Errorf("API_MAX_IN_FLIGHT is %d: set it to 1 … 100000", c.MaxInFlight)
	}
	if c.MaxConnections < 1 || c.MaxConnections > 1_000_000 {
		return fmt.Errorf("API_MAX_CONNECTIONS is %d: set it to 1 … 1000000", c.MaxConnections)
	}
	if c.Remember < 0 || c.Remember > 10_000_000 {
		return fmt.Errorf("API_REMEMBER is %d: set it to 0 … 10000000", c.Remember)
	}
	if !(c.Rate >= 1 && c.Rate <= 1e7) {
		return fmt.Errorf("API_RATE is %v: set it to 1 … 10000000", c.Rate)
	}
	if c.DriftWindow < time.Minute || c.DriftWindow > 31*24*time.Hour {
		return fmt.Errorf("API_DRIFT_WINDOW is %v: set it to 1m … 744h", c.DriftWindow)
	}
	if c.DriftRecords < 1000 || c.DriftRecords > 10_000_000 {
		return fmt.Errorf("API_DRIFT_RECORDS is %d: set it to 1000 … 10000000", c.DriftRecords)
	}
	if !(c.ClientRate >= 1 && c.ClientRate <= 1e6) {
		return fmt.Errorf("API_CLIENT_RATE is %v: set it to 1 … 1000000", c.ClientRate)
	}
	return nil
}

// guarded is an address that others cannot listen to: https, or this machine's.
func guarded(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()))
}

func loopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }
