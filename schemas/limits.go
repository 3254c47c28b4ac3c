package schemas

// The bounds that keep hostile or broken input from costing more than a fixed amount of memory and time.
const (
	// MaxEventBytes is the longest event Decode reads.
	MaxEventBytes = 1 << 20
	// MaxDepth is how many objects and arrays may stand inside one another; the event itself is the first.
	MaxDepth = 32
	// MaxIDBytes bounds a transaction id and a key, in bytes of their text.
	MaxIDBytes = 256
	// MaxNumberBytes bounds the text of one number, also in fields the contract does not name.
	MaxNumberBytes = 400
	// MaxFeatures is how many features a contract may have.
	MaxFeatures = 10_000
	// MaxNameBytes bounds a feature name and each name of a path, in bytes.
	MaxNameBytes = 256
	// MaxContractBytes is the longest contract ParseContract reads.
	MaxContractBytes = 1 << 20
	// MaxCategories is how many codes one category feature may have.
	MaxCategories = 10_000
	// MaxVerdictBytes is the longest verdict ParseVerdict reads: every feature of the largest contract can have a finding.
	MaxVerdictBytes = 4 << 20
)
