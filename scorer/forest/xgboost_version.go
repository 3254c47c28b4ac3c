package forest

// xgbRules are what XGBoost did otherwise before, or has begun to do, in the version that wrote a file. Found by models of 1.0 to 3.4, which were
// trained, and scored, by these versions themselves.
type xgbRules struct {
	treesFirst       bool // up to 1.2: the trees are added up from 0, and the base margin last
	dartTreesFirst   bool // up to 1.3: those of dart
	logitrawLink     bool // up to 1.2: the base score of binary:logitraw is a probability
	sigmoidEnds      bool // up to 1.5: the probability of a margin far below 0 is 0, since 1.6 never less than that of -88.7
	noCategories     bool // up to 1.5: categorical splits were an experiment for GPUs, and meant something else
	unknownIsMissing bool // 1.6: a category beyond the words of a split's set goes the way of missing values, since 1.7 left
	sortsQuantiles   bool // since 3.4: several quantiles of one row are put in ascending order
}

func rulesOf(major, minor int32) xgbRules {
	before := func(m, n int32) bool { return major < m || major == m && minor < n }
	return xgbRules{
		treesFirst: before(1, 3), dartTreesFirst: before(1, 4), logitrawLink: before(1, 3), sigmoidEnds: before(1, 6), noCategories: before(1, 6), unknownIsMissing: before(1, 7),
		sortsQuantiles: !before(3, 4),
	}
}
