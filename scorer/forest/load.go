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
	case bytes.HasPrefix(data, []byte("{L")), bytes.HasPrefix(data, []byte("{#")), bytes.HasPrefix(data, []byte("{$")):
		return nil, errors.New("the file looks like XGBoost UBJSON, which this engine does not read yet: use a LightGBM text model")
	case text[0] == '{':
		return nil, errors.New("the file is JSON, as XGBoost's models are; this engine does not read them yet: use a LightGBM text model (Booster.save_model)")
	case bytes.HasPrefix(data, []byte("\x1f\x8b")):
		return nil, errors.New("the file is compressed with gzip: unpack it first")
	case data[0] == 0x80:
		return nil, errors.New("the file looks like a Python pickle, which runs code when it is read: save the booster itself (Booster.save_model)")
	case bytes.HasPrefix(data, []byte("binf")), bytes.HasPrefix(data, []byte("bs64")):
		return nil, errors.New("the file is an XGBoost binary model: save it as JSON with XGBoost itself")
	}
	return nil, fmt.Errorf("the file is no model that this engine knows: a LightGBM text model begins with a line \"tree\", this begins with %q", clip(string(text[:min(len(text), 64)])))
}

// clip keeps hostile text out of errors.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
