package forest

import (
	"math/rand/v2"
	"runtime"
	"testing"
)

// TestLoadingTakesAFewTimesTheFilesMemory: all that is allocated on the way counts, what is dropped again too.
func TestLoadingTakesAFewTimesTheFilesMemory(t *testing.T) {
	for name, data := range map[string][]byte{ // 5 to 8 times
		"LightGBM": newSynthetic(rand.New(rand.NewPCG(100, 255)), 30, 1, 100, syntheticKinds{leaves: 255, missing: true}).text("binary sigmoid:1"),
		"JSON":     read(t, "xgb_lossguide_255", "model.json"),
		"UBJSON":   read(t, "xgb_lossguide_255", "model.ubj"),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := Load(data); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if ratio := float64(after.TotalAlloc-before.TotalAlloc) / float64(len(data)); ratio > 10 {
			t.Errorf("%s: %.1f times the file's %d bytes are allocated", name, ratio, len(data))
		}
	}
}

// BenchmarkLoad loads 1000 trees of 255 leaves over 30 features.
func BenchmarkLoad(b *testing.B) {
	text := newSynthetic(rand.New(rand.NewPCG(1000, 255)), 30, 1, 1000, syntheticKinds{leaves: 255}).text("binary sigmoid:1")
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(text); err != nil {
			b.Fatal(err)
		}
	}
}
