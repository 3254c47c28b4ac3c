package scorer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheContentSaysWhatAFileIs, not its name: MLflow calls LightGBM's text model.lgb, and XGBoost's UBJSON model.xgb or model.ubj. Only .txt, which is
// LightGBM's, must not stand on XGBoost's.
func TestTheContentSaysWhatAFileIs(t *testing.T) {
	for content, format := range map[string]string{
		filepath.Join("..", "bundles", "sample", "model.txt"):             "LightGBM text v4",
		filepath.Join("forest", "testdata", "xgb_one_tree", "model.json"): "XGBoost JSON 3.2.0",
		filepath.Join("forest", "testdata", "xgb_one_tree", "model.ubj"):  "XGBoost UBJSON 3.2.0",
	} {
		data, err := os.ReadFile(content)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"model.lgb", "model.xgb", "model.ubj", "model.json", "model.bin", "model"} {
			if m, err := LoadModel(name, data, Auto); err != nil || m.Format() != format {
				t.Errorf("%s as %s: %v", content, name, err)
			}
		}
		if _, err := LoadModel("model.txt", data, Auto); (err != nil) != strings.HasPrefix(format, "XGBoost") {
			t.Errorf("%s as model.txt: %v", content, err)
		}
	}
}
