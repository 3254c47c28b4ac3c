// Command api measures the HTTP API on a real Kafka with a scorer, all on one machine: latencies at steady rates, and the most that it answers, beside a server that only reads the request and answers a
// constant, and beside FastAPI with LightGBM.
//
//	go run ./test/bench/api [-bundle bundles/sample] [-rates 500,1000,2000] [-for 20s] [-python VENV/bin/python] [-json]
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mlmonitor/mlmonitor/kafka"
	"github.com/mlmonitor/mlmonitor/producer"
	"github.com/mlmonitor/mlmonitor/test/bench/kit"
	"github.com/mlmonitor/mlmonitor/test/rig"
)

// result is one service at one rate; 0 is as fast as it answers.
type result struct {
	What   string  `json:"what"`
	Rate   float64 `json:"rate"`
	Got    float64 `json:"answered_per_second"`
	P50    float64 `json:"p50_ms"`
	P95    float64 `json:"p95_ms"`
	P99    float64 `json:"p99_ms"`
	Failed int64   `json:"failed"`
}

func main() {
	bundle := flag.String("bundle", "bundles/sample", "folder of the bundle")
	rates := flag.String("rates", "500,1000,2000,0", "requests a second; 0 for as many as are answered")
	length := flag.Duration("for", 20*time.Second, "time at each rate")
	python := flag.String("python", "", "a Python with test/bench/api/requirements.txt; none: without FastAPI")
	floor := flag.String("floor", "", "serve the constant at this address; of the program itself")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	if *floor != "" {
		fmt.Fprintln(os.Stderr, http.ListenAndServe(*floor, http.HandlerFunc(constant)))
		os.Exit(1)
	}
	var all []float64
	for _, one := range strings.Split(*rates, ",") {
		r, err := strconv.ParseFloat(one, 64)
		if err != nil || r < 0 {
			fmt.Fprintf(os.Stderr, "-rates: %q is no rate\n", one)
			os.Exit(2)
		}
		all = append(all, r)
	}
	kit.Main("bench-api", func(ctx context.Context, r *kit.Run) error {
		found, err := measure(ctx, r, *bundle, *python, all, *length)
		if err != nil {
			return err
		}
		if *asJSON {
			return json.NewEncoder(os.Stdout).Encode(found)
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "what\trequests/s\tanswered/s\tp50 ms\tp95 ms\tp99 ms\tfailed\t")
		for _, x := range found {
			rate := "most"
			if x.Rate > 0 {
				rate = fmt.Sprint(x.Rate)
			}
			fmt.Fprintf(w, "%s\t%s\t%.0f\t%.2f\t%.2f\t%.2f\t%d\t\n", x.What, rate, x.Got, x.P50, x.P95, x.P99, x.Failed)
		}
		return w.Flush()
	})
}

// constant reads the request, and answers as much as a verdict is.
func constant(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20)); err != nil {
		http.Error(w, "no", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"transaction_id":"tx-000000000042","decision":"approve","probability":0.0123,"margin":-4.38,"bundle":{"name":"sample","version":"1","digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000"},"findings":[],"event_time":"2026-01-05T10:11:12.345Z","source":{"topic":"transactions","partition":3,"offset":1234}}`)
}

func measure(ctx context.Context, r *kit.Run, bundle, python string, rates []float64, length time.Duration) ([]result, error) {
	binary, err := r.Build(ctx)
	if err != nil {
		return nil, err
	}
	folder, err := filepath.Abs(bundle)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	topics := kafka.Config{Brokers: rig.PrivateKafka(r, 1).Brokers, Transactions: "transactions", Verdicts: "verdicts", DeadLetters: "transactions.dlq", Replies: "verdicts.replies", Models: "mlmonitor.models", Compression: "snappy"}
	if _, err := kafka.LayOut(ctx, &topics, kafka.Layout{Partitions: 6, Replication: -1}, false); err != nil {
		return nil, err
	}
	var ports [4]int
	for i := range ports {
		if ports[i], err = kit.Port(); err != nil {
			return nil, err
		}
	}
	env := append(kit.Environment(&topics, "bench", "bench"), "BUNDLE_DIR="+folder)
	services := []struct {
		what, url string
		env, args []string
	}{
		{"score", "", env, []string{binary, "score"}}, // who decides
		{"constant", fmt.Sprintf("http://127.0.0.1:%d/predict", ports[0]), nil, []string{self, "-floor", fmt.Sprintf("127.0.0.1:%d", ports[0])}},
		{"predict", fmt.Sprintf("http://127.0.0.1:%d/predict", ports[1]), append(env, "API_AUTH=off", fmt.Sprintf("API_PORT=%d", ports[1]), "API_CLIENT_RATE=1000000", "API_MAX_IN_FLIGHT=10000", fmt.Sprintf("OPS_PORT=%d", ports[3])), []string{binary, "api"}},
		{"what if", fmt.Sprintf("http://127.0.0.1:%d/score", ports[1]), nil, nil},
		{"FastAPI", fmt.Sprintf("http://127.0.0.1:%d/score", ports[2]), []string{"BUNDLE=" + folder}, []string{python, "-m", "uvicorn", "--app-dir", "test/bench/api", "service:app", "--port", strconv.Itoa(ports[2]), "--log-level", "warning", "--no-access-log"}},
	}
	for _, s := range services {
		if s.args == nil || s.args[0] == "" {
			continue
		}
		p, err := kit.Start(s.env, s.args...)
		if err != nil {
			return nil, err
		}
		r.Cleanup(func() { p.Stop() })
	}
	sim, err := producer.NewSimulator(producer.DefaultSimulator(1, 0, 0))
	if err != nil {
		return nil, err
	}
	var found []result
	for _, s := range services {
		if s.url == "" || s.what == "FastAPI" && python == "" {
			continue
		}
		if err := kit.AwaitAnswer(ctx, s.url, sim.Next(nil).Value); err != nil {
			return nil, fmt.Errorf("%s: %w", s.what, err)
		}
		for _, rate := range rates {
			n := int(rate * length.Seconds())
			if rate == 0 {
				n = int(20_000 * length.Seconds())
				if s.what == "FastAPI" {
					n = int(5_000 * length.Seconds())
				}
			}
			events := make([][]byte, n) // none comes twice
			for i := range events {
				events[i] = bytes.Clone(sim.Next(nil).Value)
			}
			one := load(ctx, s.url, rate, length, events)
			one.What = s.what
			r.Logf("%s at %v/s: %.0f/s, p50 %.2f ms, p99 %.2f ms, %d failed", s.what, rate, one.Got, one.P50, one.P99, one.Failed)
			found = append(found, one)
		}
	}
	return found, nil
}

// load sends events at a rate, 0 for as fast as they are answered.
func load(ctx context.Context, url string, rate float64, length time.Duration, events [][]byte) result {
	asked := kit.Ask(ctx, url, rate, length, events)
	r := result{Rate: rate, Got: float64(len(asked.Late)) / asked.Took.Seconds(), Failed: asked.Failed}
	if len(asked.Late) > 0 {
		r.P50, r.P95, r.P99 = kit.Quantile(asked.Late, 0.5), kit.Quantile(asked.Late, 0.95), kit.Quantile(asked.Late, 0.99)
	}
	return r
}
