package sink

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// Validate tells what is wrong with the shape of a block: a column without a
// name, named twice, not a slice, or not as long as the block has rows.
func (b Block) Validate() error {
	seen := make(map[string]bool, len(b.Columns))
	for _, c := range b.Columns {
		v := reflect.ValueOf(c.Values)
		switch {
		case c.Name == "" || seen[c.Name]:
			return fmt.Errorf("block of %s: column name %q is empty or used twice", b.Table, c.Name)
		case v.Kind() != reflect.Slice:
			return fmt.Errorf("block of %s: column %s holds %T, not a slice", b.Table, c.Name, c.Values)
		case v.Len() != b.Rows:
			return fmt.Errorf("block of %s: column %s holds %d values, the block %d rows", b.Table, c.Name, v.Len(), b.Rows)
		}
		seen[c.Name] = true
	}
	return nil
}

// Row is the values of row i by column name, for tests and twins.
func (b Block) Row(i int) map[string]any {
	row := make(map[string]any, len(b.Columns))
	for _, c := range b.Columns {
		row[c.Name] = reflect.ValueOf(c.Values).Index(i).Interface()
	}
	return row
}

// Clone copies a block, so that it outlives the batch it comes from.
func (b Block) Clone() Block {
	out := Block{Table: b.Table, Rows: b.Rows, Columns: make([]Column, len(b.Columns))}
	for i, c := range b.Columns {
		v := reflect.ValueOf(c.Values)
		values := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(values, v)
		switch s := values.Interface().(type) {
		case [][]string:
			for j := range s {
				s[j] = slices.Clone(s[j])
			}
		case []map[string]string:
			for j := range s {
				s[j] = maps.Clone(s[j])
			}
		}
		out.Columns[i] = Column{Name: c.Name, Values: values.Interface()}
	}
	return out
}
