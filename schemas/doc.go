// Package schemas holds what goes in and out of the scorer: the contract of a bundle, the decoder compiled from it, which turns an event
// into the features of a model, and the verdict. It has no I/O, no clock and no environment. The contract's format, and all reasons for
// which an event is refused, are in docs/contract.md.
//
// What Decoder accepts, encoding/json reads to the same values: text byte for byte, numbers bit for bit. Beyond what encoding/json
// refuses, and apart from what the contract says about types, times, domains and missing values, it refuses
//   - a name that comes twice in one object, compared without escapes, wherever the object is (encoding/json takes the last);
//   - text that is not UTF-8, and \u escapes of half a surrogate pair (encoding/json puts U+FFFD);
//   - more than MaxEventBytes, nesting deeper than MaxDepth, and numbers of more than MaxNumberBytes.
//
// Of numbers in fields that the contract does not name, only the spelling is checked, as encoding/json does with UseNumber.
package schemas
