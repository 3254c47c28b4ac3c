package main

import (
	"encoding/json"
	"log"
	"os"
	"path/filepath"
)

func main() {
	for _, b := range boards() {
		text, err := encode(b)
		if err == nil {
			err = os.WriteFile(filepath.Join("dashboards", b.file+".json"), text, 0o644)
		}
		if err != nil {
			log.Fatalf("%s: %v", b.file, err)
		}
	}
}

// encode gives a dashboard's file: always the same bytes.
func encode(b board) ([]byte, error) {
	d, err := b.build()
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(d, "", " ")
	return append(text, '\n'), err
}
