package area

import (
	"bytes"
	_ "embed" // the areas of Denmark and Sweden are part of the program
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"sync"
)

//go:embed data/dk.csv
var dkCSV []byte

//go:embed data/se.csv
var seCSV []byte

// BuiltIn lists the areas of Denmark (5 regions, 98 municipalities,
// Christiansø) and Sweden (21 counties, 290 municipalities), each country
// from large to small, so that a parent comes before what lies in it. The
// slice is the caller's own.
func BuiltIn() []Area { return slices.Clone(builtIn()) }

// builtIn reads the embedded files once. They are part of the program: a
// fault in them is a fault of the build, and the package's tests read every row.
var builtIn = sync.OnceValue(func() []Area {
	var all []Area
	for _, data := range [][]byte{dkCSV, seCSV} {
		areas, err := readCSV(data)
		if err != nil {
			panic(fmt.Sprintf("embedded areas: %v", err))
		}
		all = append(all, areas...)
	}
	return all
})

// readCSV reads id, level, name, country, code, parent, nuts, lat, lon.
func readCSV(data []byte) ([]Area, error) {
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord = 9
	rows, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	var areas []Area
	known := map[ID]Area{}
	lookup := func(id ID) (Area, bool) { a, ok := known[id]; return a, ok }
	for i, row := range rows[1:] {
		a := Area{ID: ID(row[0]), Level: Level(row[1]), Name: row[2], Country: row[3], Code: row[4], Parent: ID(row[5]), NUTS: row[6]}
		if row[7] != "" {
			var errLat, errLon error
			a.Centre.Lat, errLat = strconv.ParseFloat(row[7], 64)
			a.Centre.Lon, errLon = strconv.ParseFloat(row[8], 64)
			if errLat != nil || errLon != nil {
				return nil, fmt.Errorf("line %d: %q, %q is no point", i+2, row[7], row[8])
			}
		}
		if found := a.Validate(lookup); len(found) > 0 {
			return nil, fmt.Errorf("line %d: %v", i+2, found[0])
		}
		known[a.ID] = a
		areas = append(areas, a)
	}
	return areas, nil
}
