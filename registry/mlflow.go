package registry

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/mlmonitor/mlmonitor/kafka"
)

// MLflow is a client of one registered model on an MLflow server, 3 or newer, whose artifacts go through it. Source: MLflow's REST API reference, and
// recorded exchanges of MLflow 3.17.
type MLflow struct {
	cfg  Config
	base string
	http *http.Client
}

// Bounds of one exchange.
const (
	requestTimeout = 30 * time.Second
	maxAnswer      = 4 << 20
	tries          = 3
	firstPause     = 200 * time.Millisecond
	maxPages       = 100
)

// NewMLflow makes a client; cfg must be valid.
func NewMLflow(cfg Config) (*MLflow, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	transport.ResponseHeaderTimeout = requestTimeout
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("MLFLOW_TRACKING_SERVER_CERT_PATH: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("MLFLOW_TRACKING_SERVER_CERT_PATH: %s holds no PEM certificate", cfg.CAFile)
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	// Credentials go to the server that was named, and nowhere else.
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &MLflow{cfg: cfg, base: strings.TrimRight(cfg.TrackingURI, "/"), http: client}, nil
}

// Close gives idle connections back.
func (m *MLflow) Close() { m.http.CloseIdleConnections() }

// APIError is what MLflow says when it refuses.
type APIError struct {
	Status  int
	Code    string // such as RESOURCE_DOES_NOT_EXIST; empty where the body was none of MLflow's
	Message string
	Changes bool // the request was to change something
}

func (e *APIError) Error() string {
	switch {
	case e.Status == http.StatusUnauthorized:
		return "MLflow does not accept the credentials: check MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD or MLFLOW_TRACKING_TOKEN"
	case e.Status == http.StatusForbidden && e.Code == "":
		right := "READ"
		if e.Changes {
			right = "EDIT"
		}
		return fmt.Sprintf("MLflow refuses (403 %s): the user may need %s on the registered model and on its experiment, or the server does not allow this host name", e.Message, right)
	case e.Code != "":
		return fmt.Sprintf("MLflow says %d %s: %s", e.Status, e.Code, e.Message)
	}
	return fmt.Sprintf("MLflow says %d %s: is MLFLOW_TRACKING_URI an MLflow server?", e.Status, e.Message)
}

// Tag is one of a model version.
type Tag struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// ModelVersion is one version of the registered model.
type ModelVersion struct {
	Name        string   `json:"name"`
	Version     string   `json:"version"`
	Created     int64    `json:"creation_timestamp"` // Unix milliseconds
	Description string   `json:"description"`
	Source      string   `json:"source"`
	RunID       string   `json:"run_id"`
	Status      string   `json:"status"`
	Tags        []Tag    `json:"tags"`
	Aliases     []string `json:"aliases"`
}

// Tag gives the value of a tag, "" where there is none.
func (v ModelVersion) Tag(key string) string {
	for _, t := range v.Tags {
		if t.Key == key {
			return t.Value
		}
	}
	return ""
}

// ErrNoAlias says that nobody is what was asked for: the alias is not set.
var ErrNoAlias = errors.New("no version has the alias")

// ByAlias gives the version that has an alias.
func (m *MLflow) ByAlias(ctx context.Context, alias string) (ModelVersion, error) {
	var out struct {
		Version ModelVersion `json:"model_version"`
	}
	err := m.get(ctx, "/api/2.0/mlflow/registered-models/alias", url.Values{"name": {m.cfg.Model}, "alias": {alias}}, &out)
	var refused *APIError
	if errors.As(err, &refused) && refused.Code == "INVALID_PARAMETER_VALUE" { // MLflow's way to say so
		return out.Version, fmt.Errorf("%w %s of %s: %w", ErrNoAlias, alias, m.cfg.Model, err)
	}
	return out.Version, err
}

// Get gives one version.
func (m *MLflow) Get(ctx context.Context, version string) (ModelVersion, error) {
	var out struct {
		Version ModelVersion `json:"model_version"`
	}
	err := m.get(ctx, "/api/2.0/mlflow/model-versions/get", url.Values{"name": {m.cfg.Model}, "version": {version}}, &out)
	return out.Version, err
}

// Versions gives all versions, the newest first, with their aliases.
func (m *MLflow) Versions(ctx context.Context) ([]ModelVersion, error) {
	var model struct {
		Model struct {
			Aliases []struct{ Alias, Version string } `json:"aliases"`
		} `json:"registered_model"`
	}
	if err := m.get(ctx, "/api/2.0/mlflow/registered-models/get", url.Values{"name": {m.cfg.Model}}, &model); err != nil {
		return nil, err
	}
	var all []ModelVersion
	query := url.Values{"filter": {"name='" + strings.ReplaceAll(m.cfg.Model, "'", "''") + "'"}, "max_results": {"100"}, "order_by": {"version_number DESC"}}
	for range maxPages {
		var page struct {
			Versions []ModelVersion `json:"model_versions"`
			Next     string         `json:"next_page_token"`
		}
		if err := m.get(ctx, "/api/2.0/mlflow/model-versions/search", query, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Versions...)
		if page.Next == "" {
			break
		}
		query.Set("page_token", page.Next)
	}
	for i := range all { // a search leaves aliases out
		all[i].Aliases = nil
		for _, a := range model.Model.Aliases {
			if a.Version == all[i].Version {
				all[i].Aliases = append(all[i].Aliases, a.Alias)
			}
		}
	}
	return all, nil
}

// SetAlias moves an alias to a version.
func (m *MLflow) SetAlias(ctx context.Context, alias, version string) error {
	return m.post(ctx, "/api/2.0/mlflow/registered-models/alias", map[string]string{"name": m.cfg.Model, "alias": alias, "version": version}, nil)
}

// SetTag puts a tag on a version.
func (m *MLflow) SetTag(ctx context.Context, version, key, value string) error {
	return m.post(ctx, "/api/2.0/mlflow/model-versions/set-tag", map[string]string{"name": m.cfg.Model, "version": version, "key": key, "value": value}, nil)
}

// SetModelTag puts a tag on the registered model.
func (m *MLflow) SetModelTag(ctx context.Context, key, value string) error {
	return m.post(ctx, "/api/2.0/mlflow/registered-models/set-tag", map[string]string{"name": m.cfg.Model, "key": key, "value": value}, nil)
}

// ModelTags are those of the registered model.
func (m *MLflow) ModelTags(ctx context.Context) ([]Tag, error) {
	var out struct {
		Model struct {
			Tags []Tag `json:"tags"`
		} `json:"registered_model"`
	}
	err := m.get(ctx, "/api/2.0/mlflow/registered-models/get", url.Values{"name": {m.cfg.Model}}, &out)
	return out.Model.Tags, err
}

const artifactScheme = "mlflow-artifacts:/"

// Artifacts gives the path of a version's files on the artifact proxy. MLflow is asked for it: it is not for others to build.
func (m *MLflow) Artifacts(ctx context.Context, version string) (string, error) {
	var out struct {
		URI string `json:"artifact_uri"`
	}
	if err := m.get(ctx, "/api/2.0/mlflow/model-versions/get-download-uri", url.Values{"name": {m.cfg.Model}, "version": {version}}, &out); err != nil {
		return "", err
	}
	path, ok := strings.CutPrefix(out.URI, artifactScheme)
	if !ok {
		return "", fmt.Errorf("the artifacts of %s version %s are at %s: only those that the MLflow server itself serves can be read (mlflow server --serve-artifacts)", m.cfg.Model, version, out.URI)
	}
	return strings.TrimLeft(path, "/"), nil
}

// Sizes gives the size of each file directly in a folder of the artifact proxy.
func (m *MLflow) Sizes(ctx context.Context, folder string) (map[string]int64, error) {
	var out struct {
		Files []struct {
			Path string `json:"path"`
			Dir  bool   `json:"is_dir"`
			Size int64  `json:"file_size"`
		} `json:"files"`
	}
	if err := m.get(ctx, "/api/2.0/mlflow-artifacts/artifacts", url.Values{"path": {folder}}, &out); err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	for _, f := range out.Files {
		if !f.Dir {
			sizes[f.Path] = f.Size
		}
	}
	return sizes, nil
}

// Download gives the bytes of a file of the artifact proxy, of exactly size bytes. The server sends no digest: the bundle has them.
func (m *MLflow) Download(ctx context.Context, path string, size int64) ([]byte, error) {
	var data []byte
	err := m.try(ctx, http.MethodGet, "/api/2.0/mlflow-artifacts/artifacts/"+escape(path), nil, func(body io.Reader) (err error) {
		data, err = io.ReadAll(io.LimitReader(body, size+1))
		if err == nil && int64(len(data)) != size {
			err = fmt.Errorf("%s has %d bytes or more, the listing says %d", path, len(data), size)
		}
		return err
	})
	return data, err
}

// escape keeps the slashes of a path.
func escape(path string) string {
	parts := strings.Split(path, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

func (m *MLflow) get(ctx context.Context, path string, query url.Values, out any) error {
	return m.try(ctx, http.MethodGet, path+"?"+query.Encode(), nil, decode(out))
}

func (m *MLflow) post(ctx context.Context, path string, body, out any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return m.try(ctx, http.MethodPost, path, text, decode(out))
}

func decode(out any) func(io.Reader) error {
	return func(body io.Reader) error {
		data, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
		switch {
		case err != nil:
			return err
		case len(data) > maxAnswer:
			return fmt.Errorf("MLflow's answer is longer than %d bytes", maxAnswer)
		case out == nil:
			return nil
		}
		if err := json.Unmarshal(data, out); err != nil {
			return fmt.Errorf("MLflow's answer is no JSON, is MLFLOW_TRACKING_URI an MLflow server? %w", err)
		}
		return nil
	}
}

// try sends a request, and again after a pause where the server or the network failed. What MLflow refuses is not asked again. All requests may be sent twice: aliases and tags are
// set, not added.
func (m *MLflow) try(ctx context.Context, method, path string, body []byte, read func(io.Reader) error) error {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		err := m.once(ctx, method, path, body, read)
		if err == nil || ctx.Err() != nil || attempt == tries || m.final(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause/2 + rand.N(pause)): // apart from the other replicas
		}
		pause *= 2
	}
}

// final says whether to ask again would be in vain. Credentials of files may have been replaced on the server a moment before they are in the file.
func (m *MLflow) final(err error) bool {
	var refused *APIError
	switch {
	case !errors.As(err, &refused), refused.Status >= 500, refused.Status == http.StatusTooManyRequests:
		return false
	case refused.Status == http.StatusUnauthorized:
		return m.cfg.PasswordNow == nil && m.cfg.TokenNow == nil
	}
	return true
}

func (m *MLflow) once(ctx context.Context, method, path string, body []byte, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, m.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	switch {
	case method == http.MethodPut:
		req.Header.Set("Content-Type", "application/octet-stream")
	case body != nil:
		req.Header.Set("Content-Type", "application/json")
	}
	switch {
	case m.cfg.Token != "":
		token, err := now(m.cfg.Token, m.cfg.TokenNow)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token.Reveal())
	case m.cfg.Username != "":
		password, err := now(m.cfg.Password, m.cfg.PasswordNow)
		if err != nil {
			return err
		}
		req.SetBasicAuth(m.cfg.Username, password.Reveal())
	}
	resp, err := m.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask MLflow: %w%s", err, mend(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return refusal(resp)
	}
	return read(resp.Body)
}

// now is a secret as its file has it, where that can be read again, and as it was at the start otherwise.
func now(start kafka.Secret, again func() (kafka.Secret, error)) (kafka.Secret, error) {
	if again == nil {
		return start, nil
	}
	return again()
}

// mend says what to do where MLflow's certificate is not what was asked for.
func mend(err error) string {
	var (
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &host):
		return ": MLflow's certificate is for another host, check MLFLOW_TRACKING_URI"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return ": MLflow's certificate has expired or is not valid yet, renew it, or set this machine's clock"
	case errors.As(err, &unknown), errors.As(err, &invalid):
		return ": MLflow's certificate is not trusted, set MLFLOW_TRACKING_SERVER_CERT_PATH to the file of its authority"
	case errors.As(err, &record):
		return ": MLflow does not speak TLS on this port, check MLFLOW_TRACKING_URI"
	}
	return ""
}

// refusal reads what is wrong. Bodies are not always JSON.
func refusal(resp *http.Response) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("read MLflow's answer of status %d: %w", resp.StatusCode, err)
	}
	e := &APIError{Status: resp.StatusCode, Changes: resp.Request.Method != http.MethodGet}
	var said struct {
		Code    string `json:"error_code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(data, &said) == nil && said.Code != "" {
		e.Code, e.Message = said.Code, said.Message
	} else {
		e.Message = http.StatusText(resp.StatusCode)
	}
	return e
}
