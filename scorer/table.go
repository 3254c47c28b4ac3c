package scorer

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Rows are scored in blocks: of so many rows, fewer where the rows are long.
const (
	tableRows   = 1024
	tableValues = 1 << 20
)

// PredictTable scores a CSV, as EachRow reads it, and writes one line a row, the model's outputs separated by commas, in the shortest text that reads back to
// the number type of the model's library. With raw the margin is written instead of the prediction. It returns the names of columns that the model does not
// use.
func PredictTable(m Model, rows io.Reader, raw bool, out io.Writer) (unused []string, err error) {
	w := bufio.NewWriter(out)
	block := max(1, min(tableRows, tableValues/max(1, m.Features())))
	values := make([]float64, 0, block*m.Features())
	scores := make([]float64, block*m.Outputs())
	var line []byte
	flush := func() error {
		count, width := len(values)/max(1, m.Features()), m.Outputs()
		result := scores[:count*width]
		if err := m.Margins(values, result); err != nil {
			return err
		}
		if !raw {
			width = m.Predictions()
			if err := m.Transform(result, result[:count*width]); err != nil {
				return err
			}
		}
		for row := range slices.Chunk(result[:count*width], width) {
			line = appendScores(line[:0], row, m.Width())
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
		values = values[:0]
		return nil
	}
	unused, err = EachRow(m, rows, "", func(row []float64, _ string) error {
		if values = append(values, row...); len(values) == cap(values) {
			return flush()
		}
		return nil
	})
	if err != nil {
		return unused, err
	}
	if err := flush(); err != nil {
		return unused, err
	}
	return unused, w.Flush()
}

// EachRow calls each for the rows of a CSV, with the text of one more column, "" where none is asked for. The header names the features: columns are matched
// by name where the model has names, else by position. An empty cell is missing; nan, inf and -inf are read as such. Row and text are valid until each
// returns. It gives the names of columns that were not used.
func EachRow(m Model, rows io.Reader, extra string, each func(row []float64, text string) error) (unused []string, err error) {
	table := csv.NewReader(rows)
	table.ReuseRecord = true
	header, err := table.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the table is empty: its first line must name the features")
	} else if err != nil {
		return nil, err
	}
	at := -1
	if extra != "" {
		if at = slices.Index(header, extra); at < 0 {
			return nil, fmt.Errorf("the table has no column %q", extra)
		}
	}
	columns, unused, err := matchColumns(m, header)
	if err != nil {
		return nil, err
	}
	unused = slices.DeleteFunc(unused, func(name string) bool { return name == extra })
	row := make([]float64, len(columns))
	for {
		cells, err := table.Read()
		if errors.Is(err, io.EOF) {
			return unused, nil
		} else if err != nil {
			return unused, err
		}
		for feature, column := range columns {
			if row[feature], err = parseCell(cells[column]); err != nil {
				line, _ := table.FieldPos(column)
				return unused, fmt.Errorf("line %d, column %q: %w", line, featureName(m, feature), err)
			}
		}
		text := ""
		if at >= 0 {
			text = cells[at]
		}
		if err := each(row, text); err != nil {
			return unused, err
		}
	}
}

// matchColumns gives the column of each feature.
func matchColumns(m Model, header []string) (columns []int, unused []string, err error) {
	names := m.FeatureNames()
	if names == nil {
		if len(header) != m.Features() {
			return nil, nil, fmt.Errorf("the table has %d columns, the model has %d features and no names", len(header), m.Features())
		}
		for i := range header {
			columns = append(columns, i)
		}
		return columns, nil, nil
	}
	at := map[string]int{}
	for i, name := range header {
		if _, twice := at[name]; twice {
			return nil, nil, fmt.Errorf("the table has two columns %q", name)
		}
		at[strings.Clone(name)] = i
	}
	var missing []string
	for _, name := range names {
		column, ok := at[name]
		if !ok {
			missing = append(missing, strconv.Quote(name))
		}
		columns = append(columns, column)
		delete(at, name)
	}
	if len(missing) > 0 {
		return nil, nil, fmt.Errorf("the table lacks %d of the model's %d features: %s", len(missing), len(names), strings.Join(missing[:min(10, len(missing))], ", "))
	}
	for name := range at {
		unused = append(unused, name)
	}
	slices.Sort(unused)
	return columns, unused, nil
}

func featureName(m Model, feature int) string {
	if names := m.FeatureNames(); names != nil {
		return names[feature]
	}
	return strconv.Itoa(feature)
}

func parseCell(text string) (float64, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return math.NaN(), nil
	}
	if strings.ContainsAny(text, "xX_pP") { // Go reads 0x1p3 and 1_000, a CSV does not mean them
		return 0, fmt.Errorf("%q is not a number", text)
	}
	v, err := strconv.ParseFloat(text, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%q does not fit a float64; write inf for infinity", text)
	} else if err != nil {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return v, nil
}

// appendScores writes numbers as Python would read them back.
func appendScores(line []byte, row []float64, width int) []byte {
	for i, v := range row {
		if i > 0 {
			line = append(line, ',')
		}
		switch {
		case math.IsNaN(v):
			line = append(line, "nan"...)
		case math.IsInf(v, 1):
			line = append(line, "inf"...)
		case math.IsInf(v, -1):
			line = append(line, "-inf"...)
		default:
			line = strconv.AppendFloat(line, v, 'g', -1, width)
		}
	}
	return append(line, '\n')
}
