// Command load holds the service to its objectives on one real Kafka and one real Postgres: score, audit and api as processes, transactions on the topic and
// over HTTP at steady rates, all on one machine. It prints each objective, what was measured, and whether it held, and exits with 1 when one did not.
//
//	go run ./test/bench/load [-stream 1000] [-http 200] [-for 2m] [-warm 20s] [-bundle sample] [-json]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mlmonitor/mlmonitor/test/bench/kit"
)

type settings struct {
	stream, http float64
	length, warm time.Duration
	bundle       string
}

func main() {
	var s settings
	flag.Float64Var(&s.stream, "stream", 1000, "transactions a second on the topic")
	flag.Float64Var(&s.http, "http", 200, "transactions a second over HTTP")
	flag.DurationVar(&s.length, "for", 2*time.Minute, "measured time")
	flag.DurationVar(&s.warm, "warm", 20*time.Second, "time before that, of which nothing may be lost either")
	flag.StringVar(&s.bundle, "bundle", "sample", "folder of the bundle, or sample")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	if s.stream < 1 || s.http < 1 || s.length < time.Second || s.warm < time.Second {
		fmt.Fprintln(os.Stderr, "-stream and -http must be 1 or more, -for and -warm 1s or more")
		os.Exit(2)
	}
	kit.Main("load", func(ctx context.Context, r *kit.Run) error {
		if s.bundle != "sample" {
			var err error
			if s.bundle, err = filepath.Abs(s.bundle); err != nil {
				return err
			}
		}
		got, err := measure(ctx, r, &s)
		if err != nil {
			return err
		}
		judged := got.judge()
		if *asJSON {
			err = json.NewEncoder(os.Stdout).Encode(judged)
		} else {
			err = print(judged)
		}
		return errors.Join(err, missed(judged))
	})
}

func print(judged []objective) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "objective\twanted\tmeasured\theld")
	for _, o := range judged {
		held := "yes"
		if !o.Held {
			held = "NO"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", o.What, o.Wanted, o.Measured, held)
	}
	return w.Flush()
}

// missed is an error that names what did not hold.
func missed(judged []objective) error {
	var names []string
	for _, o := range judged {
		if !o.Held {
			names = append(names, o.What)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("not held: %s", strings.Join(names, "; "))
}
