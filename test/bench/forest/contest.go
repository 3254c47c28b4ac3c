package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mlmonitor/mlmonitor/scorer/forest"
)

// contest is one model's comparison.
type contest struct {
	modelReport
	features int
	rows     []float64
	want     []float64 // LightGBM's own margins of the rows
	engines  []engine  // by the index in Engines; nil when it failed
	samples  []map[int][]float64
}

// compare measures one model: all engines in turn, in each round from another one on.
func compare(ctx context.Context, shape string, rows []float64, some []peer, failed map[string]error, rounds int) (*contest, error) {
	text, err := os.ReadFile(filepath.Join(cache, shape+".txt"))
	if err != nil {
		return nil, err
	}
	c := &contest{modelReport: modelReport{Shape: shape, Bytes: len(text)}, rows: rows}
	if c.want, err = readFloats(filepath.Join(cache, shape+".f64")); err != nil {
		return nil, err
	}
	defer func() {
		for _, e := range c.engines {
			if e != nil {
				e.close()
			}
		}
	}()
	if err := c.addOurs(text); err != nil {
		return nil, err
	}
	if err := c.addLeaves(text); err != nil {
		return nil, err
	}
	for _, p := range some {
		err := failed[p.name]
		if err == nil {
			err = c.addPeer(ctx, p)
		}
		if err != nil {
			c.add(engineReport{Name: p.name, Peer: true, Failed: err.Error()}, nil)
		}
	}
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "%s: round %d of %d\n", shape, round+1, rounds)
		for _, batch := range batches {
			for turn := range c.engines {
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				if err := c.measure((turn+round)%len(c.engines), batch); err != nil {
					return nil, err
				}
			}
		}
	}
	for i, samples := range c.samples {
		if c.engines[i] == nil {
			continue
		}
		c.Engines[i].Times = map[int]spread{}
		for batch, ns := range samples {
			c.Engines[i].Times[batch] = spreadOf(ns)
		}
	}
	return c, nil
}

func (c *contest) add(r engineReport, e engine) {
	c.Engines = append(c.Engines, r)
	c.engines = append(c.engines, e)
	c.samples = append(c.samples, map[int][]float64{})
}

// addOurs adds our engine, as it chooses its kernels and with each of them. The error says that margins are not LightGBM's.
func (c *contest) addOurs(text []byte) error {
	m, err := forest.Load(text)
	if err != nil {
		return err
	}
	c.features = m.Features()
	all, err := variants(m)
	if err != nil {
		return err
	}
	c.Kernels = map[int]string{}
	for _, batch := range batches {
		c.Kernels[batch] = m.Kernel(batch)
	}
	add := func(name string, m *forest.Model) error {
		e := &local{rows: c.rows, features: c.features, score: m.Margins}
		for _, batch := range batches {
			got, err := e.margins(batch)
			if err != nil {
				return err
			}
			if err := mustEqual(name, batch, got, c.want); err != nil {
				return err
			}
		}
		c.add(engineReport{Name: name, Agrees: &agreement{Equal: 1}}, e)
		return nil
	}
	if err := add(self, m); err != nil {
		return err
	}
	for _, v := range all {
		if err := add(self+"/"+v.kernel, v.model); err != nil {
			return err
		}
	}
	return nil
}

func (c *contest) addLeaves(text []byte) error {
	score, err := leavesScore(text, c.features)
	if err != nil {
		return err
	}
	return c.addOther(engineReport{Name: base}, &local{rows: c.rows, features: c.features, score: score}, true)
}

// addPeer builds and starts a peer.
func (c *contest) addPeer(ctx context.Context, p peer) error {
	fmt.Fprintf(os.Stderr, "%s: preparing %s\n", c.Shape, p.name)
	b, err := p.build(ctx, c.Shape)
	if err != nil {
		return err
	}
	e, err := start(ctx, b.Command)
	if err != nil {
		return err
	}
	return c.addOther(engineReport{Name: p.name, Version: b.Version, Peer: true}, e, b.Ours)
}

// addOther adds an engine of others; compared says that it scores the LightGBM model. On an error it is not added, but closed.
func (c *contest) addOther(r engineReport, e engine, compared bool) error {
	if compared {
		got, err := e.margins(len(c.want))
		if err == nil {
			r.Agrees = &agreement{}
			*r.Agrees, err = agreementOf(got, c.want)
		}
		if err != nil {
			e.close()
			return err
		}
	}
	c.add(r, e)
	return nil
}

// measure measures one engine once. A peer that fails is out of the contest; an engine of this process ends it.
func (c *contest) measure(i, batch int) error {
	if c.engines[i] == nil {
		return nil
	}
	ns, err := c.engines[i].nanoseconds(batch)
	if err != nil && !c.Engines[i].Peer {
		return fmt.Errorf("%s: %w", c.Engines[i].Name, err)
	}
	if err != nil {
		c.engines[i].close()
		c.engines[i], c.Engines[i].Failed = nil, err.Error()
		return nil
	}
	c.samples[i][batch] = append(c.samples[i][batch], ns)
	return nil
}

// readFloats reads a file of little-endian float64.
func readFloats(path string) ([]float64, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	values := make([]float64, len(data)/8)
	if _, err := binary.Decode(data, binary.LittleEndian, values); err != nil || len(data)%8 != 0 {
		return nil, fmt.Errorf("%s is not float64: %d bytes", path, len(data))
	}
	return values, nil
}
