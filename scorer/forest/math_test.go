package forest

import (
	"math"
	"testing"
)

// TestExpAndLog1pAreTheCLibrarys holds arguments at the edges against bits that glibc 2.36 gave on x86-64; testdata/libm.csv has the many.
func TestExpAndLog1pAreTheCLibrarys(t *testing.T) {
	all := table(t, ".", "libm.csv") // argument, exp, log1p of the argument's magnitude
	if len(all) < 3*2000 {
		t.Fatalf("%d values", len(all))
	}
	wrong := 0
	for i := 0; i < len(all); i += 3 {
		x := all[i]
		got := []float64{exp(x), log1p(math.Abs(x))}
		if wrong += differences(all[i+1:i+3], got); wrong > 0 {
			t.Fatalf("exp(%v) = %v, log1p(|x|) = %v; the C library says %v, %v", x, got[0], got[1], all[i+1], all[i+2])
		}
	}
}

// TestExpfAndLogfAreTheCLibrarys does the same in float32; of the arguments, 500 are such that a logarithm in float64, rounded, is another.
func TestExpfAndLogfAreTheCLibrarys(t *testing.T) {
	all := table(t, ".", "libm32.csv") // argument, expf, logf of the argument's magnitude
	if len(all) < 3*2000 {
		t.Fatalf("%d values", len(all))
	}
	for i := 0; i < len(all); i += 3 {
		x := float32(all[i])
		want := []float32{float32(all[i+1]), float32(all[i+2])}
		if got := []float32{expf(x), logf(float32(math.Abs(float64(x))))}; got[0] != want[0] || got[1] != want[1] {
			t.Fatalf("expf(%v) = %v, logf(|x|) = %v; the C library says %v", x, got[0], got[1], want)
		}
	}
}

func TestLogfAtTheEdges(t *testing.T) {
	infinite := float32(math.Inf(1))
	if logf(0) != -infinite || logf(infinite) != infinite || logf(1) != 0 || math.Signbit(float64(logf(1))) {
		t.Errorf("logf of 0, Inf and 1 is %v, %v and %v", logf(0), logf(infinite), logf(1))
	}
	for _, x := range []float32{-1, -infinite, float32(math.NaN())} {
		if got := logf(x); got == got {
			t.Errorf("logf(%v) = %v", x, got)
		}
	}
}

func TestExpAtTheEdges(t *testing.T) {
	for _, c := range []struct{ x, want float64 }{
		{0, 1}, {math.Copysign(0, -1), 1}, {math.Inf(1), math.Inf(1)}, {math.Inf(-1), 0}, {1e300, math.Inf(1)}, {-1e300, 0},
		{709.782712893384, 0x1.fffffffffff2ap1023}, {710, math.Inf(1)}, {-745.1332191019411, 5e-324}, {-745.1332191019412, 0}, {-745.2, 0}, {-746, 0}, {1e-20, 1},
	} {
		if got := exp(c.x); math.Float64bits(got) != math.Float64bits(c.want) {
			t.Errorf("exp(%v) = %v, want %v", c.x, got, c.want)
		}
	}
	if !math.IsNaN(exp(math.NaN())) || !math.IsNaN(log1p(math.NaN())) {
		t.Error("NaN is lost")
	}
}

// TestLog1pfAndExpm1fAreTheCLibrarys does the same for log1pf of an argument up to 1, and expm1f of its negative.
func TestLog1pfAndExpm1fAreTheCLibrarys(t *testing.T) {
	all := table(t, ".", "libm32_1p.csv") // argument, log1pf where it is at most 1, expm1f of its negative
	if len(all) < 3*3000 {
		t.Fatalf("%d values", len(all))
	}
	for i := 0; i < len(all); i += 3 {
		x := float32(all[i])
		if got, want := expm1f(-x), float32(all[i+2]); got != want {
			t.Errorf("expm1f(%v) = %v; the C library says %v", -x, got, want)
		}
		if got, want := log1pf(x), float32(all[i+1]); want == want && got != want {
			t.Errorf("log1pf(%v) = %v; the C library says %v", x, got, want)
		}
	}
}
