package drift

import "math"

// Windows of the reference that its own unrest is measured over.
const (
	largestSample = 400_000 // the latest transactions that are looked at
	shortWindow   = 1000    // transactions; the least that an alarm needs
	fewestWindows = 8
	enoughWindows = 40 // to tell in how many directions they differ
	leastWindow   = 50
)

// clusters measures how much more windows of a sample differ from one another than windows of independent transactions would.
type clusters struct {
	from    int // the first transaction that is looked at
	n       int
	windows []slicing
	whole   slicing
}

// slicing is the sample in windows of size transactions, and for each transaction which customer of its window's it is of.
type slicing struct {
	size      int
	customer  []uint32
	customers []int // of each window
}

func newClusters(customers []uint32) *clusters {
	c := &clusters{from: max(0, len(customers)-largestSample)}
	customers = customers[c.from:]
	c.n = len(customers)
	for size := min(shortWindow, c.n/enoughWindows); size >= leastWindow && c.n/size >= fewestWindows; size *= 2 {
		c.windows = append(c.windows, slice(customers, size))
	}
	c.whole = slice(customers, c.n)
	return c
}

func slice(customers []uint32, size int) slicing {
	s := slicing{size: size}
	local := map[uint32]uint32{}
	for i := range len(customers) / size * size {
		if i%size == 0 {
			clear(local)
			s.customers = append(s.customers, 0)
		}
		id, ok := local[customers[i]]
		if !ok {
			id = uint32(len(local))
			local[customers[i]] = id
			s.customers[len(s.customers)-1]++
		}
		s.customer = append(s.customer, id)
	}
	return s
}

// null estimates the law of PSI of one feature. Two sources of dependence are looked at, and the larger is taken at each size of window: customers, by the
// variance of their means within a window, as if each window had customers of its own; and time, by the variance between windows. The line
// that Null describes, excess variance over size, has all of them on it or below: it rises from the first, and is level from where longer windows differ less.
func (c *clusters) null(bins []uint8, counts []int64) Null {
	total := int64(0)
	for _, n := range counts {
		total += n
	}
	law := Independent(total)
	bins = bins[c.from:]
	shares, df := occupiedShares(counts, total)
	if df == 0 {
		return law
	}
	excess := make([]float64, len(c.windows))
	for i := range c.windows {
		w := &c.windows[i]
		customers, time := w.byCustomer(bins, shares), w.byWindow(bins, shares, 1-float64(w.size)/float64(total))
		excess[i] = max(customers.mean, time.mean) / df
		law.shape(customers, df)
		if len(w.customers) >= enoughWindows {
			law.shape(time, df)
		}
	}
	whole := max(1, c.whole.byCustomer(bins, shares).mean/df)
	law.DesignEffect = whole
	law.Variance = whole / float64(total)
	peak := 0
	for i, e := range excess {
		if i == 0 {
			law.DesignEffect = max(1, e)
		}
		law.WindowVariance = max(law.WindowVariance, (e-law.DesignEffect)/float64(c.windows[i].size))
		if e > excess[peak] {
			peak = i
		}
	}
	if law.WindowVariance > 0 && peak < len(excess)-1 { // longer windows differ less than those
		law.Horizon = (excess[peak] - law.DesignEffect) / law.WindowVariance
	}
	return law
}

// occupiedShares are those of the bins; df is how many have any, less one.
func occupiedShares(counts []int64, total int64) (shares []float64, df float64) {
	df = -1
	shares = make([]float64, len(counts))
	for i, n := range counts {
		if shares[i] = float64(n) / float64(total); n > 0 {
			df++
		}
	}
	return shares, df
}

// spread describes a covariance matrix, in units in which that of independent transactions has a trace of df: the sums of its eigenvalues, of their squares and of
// their cubes, without the bias that the noise of few vectors gives the latter two.
type spread struct{ mean, squares, cubes float64 }

// shape makes the ratios those of the spread, where they are less.
func (n *Null) shape(s spread, df float64) {
	if s.squares <= 0 || s.cubes <= 0 {
		return // noise about nothing
	}
	// At least one direction.
	n.SpreadRatio = min(n.SpreadRatio, max(1/df, s.mean*s.mean/s.squares/df))
	n.TailRatio = min(n.TailRatio, n.SpreadRatio, max(1/df, s.squares*s.squares*s.squares/(s.cubes*s.cubes)/df))
}

// gather sums up vectors, to give the spread of their outer products' sum.
type gather struct {
	size                 int
	outer, weighted      []float64 // Σ v vᵀ, Σ |v|² v vᵀ
	trace, fourth, sixth float64   // Σ |v|², Σ |v|⁴, Σ |v|⁶
}

func newGather(size int) *gather {
	return &gather{size: size, outer: make([]float64, size*size), weighted: make([]float64, size*size)}
}

func (g *gather) add(v []float64) {
	square := 0.0
	for _, x := range v {
		square += x * x
	}
	for i, x := range v {
		if x == 0 {
			continue
		}
		row, weighted := g.outer[i*g.size:(i+1)*g.size], g.weighted[i*g.size:(i+1)*g.size]
		for j, y := range v {
			row[j] += x * y
			weighted[j] += square * x * y
		}
	}
	g.trace += square
	g.fourth += square * square
	g.sixth += square * square * square
}

// spread is that of the sum divided by weight. Squares and cubes are summed over different vectors only: those of one with itself are the bias.
func (g *gather) spread(weight float64) spread {
	squares, cubes, mixed := 0.0, 0.0, 0.0
	for i := range g.size {
		for j := range g.size {
			a := g.outer[i*g.size+j]
			squares += a * a
			mixed += a * g.weighted[i*g.size+j]
			for k := range g.size {
				cubes += a * g.outer[j*g.size+k] * g.outer[k*g.size+i]
			}
		}
	}
	return spread{g.trace / weight, (squares - g.fourth) / weight / weight, (cubes - 3*mixed + 2*g.sixth) / weight / weight / weight}
}

// byCustomer gathers each customer's difference from the whole, window by window.
func (s *slicing) byCustomer(bins []uint8, shares []float64) spread {
	b := len(shares)
	g := newGather(b)
	var counts []float64
	v := make([]float64, b)
	for w, customers := range s.customers {
		counts = append(counts[:0], make([]float64, customers*b)...)
		from := w * s.size
		for i := from; i < from+s.size; i++ {
			counts[int(s.customer[i])*b+int(bins[i])]++
		}
		for c := range customers {
			own := counts[c*b : (c+1)*b]
			n := 0.0
			for _, k := range own {
				n += k
			}
			for j, k := range own {
				v[j] = standard(k-n*shares[j], shares[j])
			}
			g.add(v)
		}
	}
	return g.spread(float64(len(s.customers) * s.size))
}

// byWindow gathers each window's difference from the whole. rest is the share of the whole that a window is not: so much smaller is its variance.
func (s *slicing) byWindow(bins []uint8, shares []float64, rest float64) spread {
	b := len(shares)
	g := newGather(b)
	v := make([]float64, b)
	for w := range s.customers {
		clear(v)
		for i := w * s.size; i < (w+1)*s.size; i++ {
			v[bins[i]]++
		}
		for j, k := range v {
			v[j] = standard(k-float64(s.size)*shares[j], shares[j]) / math.Sqrt(float64(s.size)*rest)
		}
		g.add(v)
	}
	return g.spread(float64(len(s.customers)))
}

func standard(difference, share float64) float64 {
	if share == 0 {
		return 0
	}
	return difference / math.Sqrt(share)
}
