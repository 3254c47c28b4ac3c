package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/scorer"
)

// fetchTimeout bounds what one alias may take.
const fetchTimeout = 20 * time.Second

// ExamineDirectory checks the bundle of a directory.
func ExamineDirectory(dir string, prove Prove) []kafka.Finding {
	b, err := prove(dir)
	if err != nil {
		return []kafka.Finding{kafka.Failed("bundle", err.Error(), "put the whole bundle there again, bundle.json last; `mlmonitor model check` looks at it alone")}
	}
	return examineBundle("bundle", "", b)
}

func examineBundle(check, which string, b *scorer.Bundle) []kafka.Finding {
	found := []kafka.Finding{kafka.Good(check, fmt.Sprintf("%s%s %s, %s: %d examples hold", which, b.ID.Name, b.ID.Version, b.ID.Digest, len(b.Examples)))}
	if b.Profile == nil {
		return append(found, kafka.Warned(check+" profile", "there is none: nothing can be said of drift", "make one with `mlmonitor model profile`"))
	}
	return append(found, kafka.Good(check+" profile", fmt.Sprintf("%d features", len(b.Profile.Features))))
}

// Examine checks MLflow: that it answers and takes the credentials, that its aliases name versions whose bundles can be had and hold, and that the cache has one to start with.
// What is fetched is not kept.
func Examine(ctx context.Context, cfg Config, prove Prove) []kafka.Finding {
	client, err := NewMLflow(cfg)
	if err != nil {
		return []kafka.Finding{kafka.Failed("mlflow", err.Error(), "mend the variable")}
	}
	defer client.Close()
	dir, err := os.MkdirTemp("", "mlmonitor-doctor-")
	if err != nil {
		return []kafka.Finding{kafka.Failed("mlflow", err.Error(), "make room in the directory of temporary files")}
	}
	defer os.RemoveAll(dir)
	client.cfg.CacheDir = dir // not the scorers'

	found := examineAlias(ctx, client, cfg.Alias, true, prove)
	if found[0].Check != "mlflow" && cfg.Challenger != "" {
		found = append(found, examineAlias(ctx, client, cfg.Challenger, false, prove)...)
	}
	if found[0].Check != "mlflow" {
		found = append([]kafka.Finding{kafka.Good("mlflow", cfg.TrackingURI+" answers")}, found...)
		found = append(found, client.examineCertificate(ctx)...)
	}
	return append(found, examineCache(cfg, prove))
}

// examineCertificate looks how long the certificate holds that MLflow shows; in clear there is none.
func (m *MLflow) examineCertificate(ctx context.Context) []kafka.Finding {
	const check = "certificate of MLflow"
	u, err := url.Parse(m.base)
	if err != nil || u.Scheme != "https" {
		return nil
	}
	address := u.Host
	if u.Port() == "" {
		address += ":443"
	}
	conn, err := (&tls.Dialer{Config: m.http.Transport.(*http.Transport).TLSClientConfig.Clone()}).DialContext(ctx, "tcp", address)
	if err != nil {
		return []kafka.Finding{kafka.Failed(check, err.Error(), "MLflow's listener")}
	}
	defer conn.Close()
	return []kafka.Finding{kafka.JudgeCertificates(check, time.Now(), conn.(*tls.Conn).ConnectionState().PeerCertificates, false)}
}

// examineAlias gives one finding of the check "mlflow" when the server is what is wrong.
func examineAlias(ctx context.Context, client *MLflow, alias string, decides bool, prove Prove) []kafka.Finding {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	check := "alias " + alias
	v, err := client.ByAlias(ctx, alias)
	var refused *APIError
	switch {
	case errors.Is(err, ErrNoAlias) && !decides:
		return []kafka.Finding{kafka.Good(check, "no version has the alias: there is none")}
	case errors.Is(err, ErrNoAlias), errors.As(err, &refused) && refused.Code == "RESOURCE_DOES_NOT_EXIST":
		return []kafka.Finding{kafka.Failed(check, fmt.Sprintf("no version of %s has the alias", client.cfg.Model), "`mlmonitor model promote VERSION`, or mend MLFLOW_MODEL and MLFLOW_ALIAS")}
	case errors.As(err, &refused):
		return []kafka.Finding{kafka.Failed("mlflow", err.Error(), "mend MLFLOW_TRACKING_URI and the credentials, or the rights of the user in MLflow")}
	case err != nil:
		return []kafka.Finding{kafka.Failed("mlflow", err.Error(), "start it, or mend MLFLOW_TRACKING_URI; scorers go on with the bundle in force, and start from MODEL_CACHE_DIR")}
	}
	b, _, err := client.Fetch(ctx, v.Version, prove)
	if err == nil {
		_, err = v.CanaryShare()
	}
	switch {
	case err != nil && decides:
		return []kafka.Finding{kafka.Failed(check, err.Error(), "move the alias back (`mlmonitor model rollback`), and push the bundle again")}
	case err != nil:
		return []kafka.Finding{kafka.Warned(check, err.Error(), "push the bundle again; it decides nothing")}
	}
	return examineBundle(check, fmt.Sprintf("version %s of %s: ", v.Version, client.cfg.Model), b)
}

// examineCache looks for the bundle that a scorer starts with while MLflow is away.
func examineCache(cfg Config, prove Prove) kafka.Finding {
	const check, mend = "bundle cache", "let a scorer run with this MODEL_CACHE_DIR while MLflow answers"
	kept, err := lastGood(cfg.CacheDir)
	if err != nil {
		return kafka.Warned(check, fmt.Sprintf("%s has no last good bundle: no scorer starts from it without MLflow", cfg.CacheDir), mend)
	}
	b, err := prove(kept)
	if err != nil {
		return kafka.Warned(check, "the last good bundle does not hold: "+err.Error(), "remove it; "+mend)
	}
	return kafka.Good(check, fmt.Sprintf("%s %s, %s, is the last good bundle", b.ID.Name, b.ID.Version, b.ID.Digest))
}
