package app

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/mlmonitor/mlmonitor/api"
	"github.com/mlmonitor/mlmonitor/audit"
	"github.com/mlmonitor/mlmonitor/consumer"
	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/registry"
)

// partTimeout bounds each part; they are looked at side by side.
const partTimeout = 50 * time.Second

// part is one thing that is examined.
type part struct {
	name    string
	examine func(context.Context) []kafka.Finding
}

// Doctor checks everything that the environment configures, each part whatever is wrong with the others, and ends within a minute. What is not configured is a
// finding of the state skip. demoDir is looked at where it exists.
func Doctor(ctx context.Context, demoDir string) []kafka.Finding {
	found, parts := diagnose(time.Now(), demoDir)
	return append(found, examineAll(ctx, parts, partTimeout)...)
}

// examineAll gives the findings in the order of the parts. One that does not keep to its time is left behind.
func examineAll(ctx context.Context, parts []part, timeout time.Duration) (found []kafka.Finding) {
	late, done := context.WithTimeout(ctx, timeout+timeout/10)
	defer done()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answers := make([]chan []kafka.Finding, len(parts))
	for i, p := range parts {
		answers[i] = make(chan []kafka.Finding, 1)
		go func() { answers[i] <- p.examine(ctx) }()
	}
	for i, p := range parts {
		select {
		case f := <-answers[i]:
			found = append(found, f...)
			continue
		case <-late.Done():
		}
		select { // it may have been ready all the while
		case f := <-answers[i]:
			found = append(found, f...)
		default:
			found = append(found, kafka.Failed(p.name, "no answer in time", "see whether the server, or the disk, stands still"))
		}
	}
	return found
}

// diagnose reads the environment: what is wrong with it, what it says of files, and the parts to ask.
func diagnose(now time.Time, demoDir string) (found []kafka.Finding, parts []part) {
	var cfg Config
	var topics kafka.Config
	var c consumer.Config
	var a audit.Config
	var web api.Config
	var model ScorerConfig
	var models registry.Config
	var faults []string
	var skipped []kafka.Finding
	load := func(sections ...section) bool {
		err := Load(sections...)
		if err != nil && !slices.Contains(faults, err.Error()) {
			faults = append(faults, err.Error())
		}
		return err == nil
	}
	add := func(name string, examine func(context.Context) []kafka.Finding) {
		parts = append(parts, part{name, examine})
	}
	skip := func(check, variable string) { skipped = append(skipped, kafka.Skipped(check, variable+" is not set")) }

	load(&cfg)
	brokers := load(&topics)
	group := load(&Config{}, &c)
	load(&kafka.Layout{})
	mlflow := load(&models) && models.UsesMLflow()
	// Whose environment it is: that of a scorer has a bundle and nothing of the API, which has one too.
	asks := sectionConfigured(web)
	scores := !asks && (configured("BUNDLE_DIR") || configured("MLFLOW_TRACKING_URI"))
	// What else is wrong with these two keeps nobody from asking the database.
	if configured("DATABASE_URL") {
		load(&Config{}, &a)
	}
	if asks {
		load(&web)
	}
	writes, reads := a.DatabaseURL != "", web.DatabaseURL != ""

	if brokers {
		add("cluster", func(ctx context.Context) []kafka.Finding {
			found, err := kafka.Examine(ctx, &topics)
			if err != nil {
				return append(found, kafka.Failed("cluster", err.Error(), "mend the variable"))
			}
			if found[0].State == kafka.Fail { // those who would ask it too
				return found
			}
			if group && scores {
				found = append(found, consumer.ExamineRights(ctx, &topics, c.Group))
			}
			if asks {
				found = append(found, api.ExamineRights(ctx, &topics))
			}
			if group {
				found = append(found, consumer.Examine(ctx, &topics, c.Group, 3*c.TxnTimeout)...)
			}
			if writes {
				found = append(found, audit.ExamineLag(ctx, &topics, a)...)
			}
			return found
		})
	}
	if !scores {
		skip("rights of score", "BUNDLE_DIR or MLFLOW_TRACKING_URI (or it is the API's environment)")
	}
	if writes {
		add("audit.database", func(ctx context.Context) []kafka.Finding { return audit.ExamineWriter(ctx, a) })
	} else if !configured("DATABASE_URL") {
		skip("audit.database", "DATABASE_URL")
	}
	if reads {
		add("api.database", func(ctx context.Context) []kafka.Finding {
			return audit.ExamineReader(ctx, "API_DATABASE_URL", web.DatabaseURL)
		})
	} else if !configured("API_DATABASE_URL") {
		skip("api.database", "API_DATABASE_URL")
	}
	switch {
	case mlflow && load(&model, &models):
		add("mlflow", func(ctx context.Context) []kafka.Finding { return registry.Examine(ctx, models, Prover(model.Engine)) })
	case !mlflow && configured("BUNDLE_DIR") && load(&model):
		add("bundle", func(context.Context) []kafka.Finding {
			return registry.ExamineDirectory(model.BundleDir, Prover(model.Engine))
		})
	case !configured("BUNDLE_DIR") && !configured("MLFLOW_TRACKING_URI"):
		skip("bundle", "BUNDLE_DIR or MLFLOW_TRACKING_URI")
	}
	for _, one := range []struct{ variable, file, key string }{
		{"KAFKA_TLS_CA_FILE", topics.CAFile, ""},
		{"KAFKA_TLS_CERT_FILE", topics.CertFile, topics.KeyFile},
		{"API_TLS_CERT_FILE", web.CertFile, web.KeyFile},
		{"API_TLS_CLIENT_CA_FILE", web.ClientCAFile, ""},
		{"MLFLOW_TRACKING_SERVER_CERT_PATH", models.CAFile, ""},
	} {
		if one.file == "" {
			skip("certificate "+one.variable, one.variable)
			continue
		}
		add("certificate "+one.variable, func(context.Context) []kafka.Finding {
			return []kafka.Finding{kafka.ExamineCertificate(now, one.variable, one.file, one.key)}
		})
	}
	if mlflow {
		add("disk MODEL_CACHE_DIR", func(context.Context) []kafka.Finding {
			return []kafka.Finding{examineRoom("disk MODEL_CACHE_DIR", models.CacheDir)}
		})
	}
	if _, err := os.Stat(demoDir); err == nil {
		add("disk of the demo", func(context.Context) []kafka.Finding {
			return []kafka.Finding{examineRoom("disk of the demo", demoDir)}
		})
	}

	if len(faults) == 0 {
		found = append(found, kafka.Good("configuration", fmt.Sprintf("%d settings are set, and hold", settings())))
	}
	for _, f := range faults {
		found = append(found, kafka.Failed("configuration", f, "set the variable as the text says; `mlmonitor config` lists all"))
	}
	return append(found, skipped...), parts
}

// configured says whether a variable is set, or comes from a file.
func configured(variable string) bool {
	return os.Getenv(variable) != "" || os.Getenv(variable+"_FILE") != ""
}

// sectionConfigured says whether any variable of a section is set: only then its role is meant to run.
func sectionConfigured(section any) bool {
	t := reflect.TypeOf(section)
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("envconfig"); name != "" && configured(name) {
			return true
		}
	}
	return false
}

func settings() (n int) {
	for _, v := range Variables() {
		if configured(v.Name) {
			n++
		}
	}
	return n
}
