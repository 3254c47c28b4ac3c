package forest

import (
	"bytes"
	"errors"
	"fmt"
)

// Load reads a model. The format is found from the content. What is not a model that can be scored exactly is refused, with an error that
// names the place; time and memory are bounded by the size of the data.
func Load(data []byte) (*Model, error) {
	text := bytes.TrimLeft(data, " \t\r\n")
	switch {
	case len(text) == 0:
		return nil, errors.New("the model file is empty")
	case bytes.HasPrefix(text, []byte("tree\n")), bytes.HasPrefix(text, []byte("tree\r\n")):
		return loadLightGBM(data)
	case data[0] == '{' && len(data) > 1 && markerSizes[data[1]] != 0: // a length: UBJSON
		return loadXGBoost(readUBJSON, data, "UBJSON")
	case text[0] == '{':
		return loadXGBoost(readJSON, data, "JSON")
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		return nil, errors.New("the file is compressed with gzip: unpack it first")
	case data[0] == 0x80:
		return nil, errors.New("the file looks like a Python pickle, which runs code when it is read: save the booster itself (Booster.save_model)")
	case bytes.HasPrefix(data, []byte("binf")), bytes.HasPrefix(data, []byte("bs64")):
		return nil, errors.New("the file is an XGBoost binary model: save it as JSON with XGBoost itself")
	}
	return nil, fmt.Errorf("the file is no model that this engine knows: LightGBM text begins with a line \"tree\", XGBoost JSON and UBJSON with a brace, this with %q", clip(string(text[:min(len(text), 64)])))
}

// clip keeps hostile text out of errors.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
