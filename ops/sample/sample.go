// Package sample carries the real data that a first start shows: the
// Environment Agency's Waste Data Interrogator for the East of England, 2019.
//
// The columns that name people are empty in it (wdi/README.md). It leaves out
// how the file is imported: that is the ordinary way, profile "wdi".
package sample

import _ "embed"

//go:embed wdi/wdi_2019_east_of_england_waste_received.csv.gz
var wdi []byte

// WDIName is the file's name.
const WDIName = "wdi_2019_east_of_england_waste_received.csv.gz"

// WDITitle says what the file is, and WDIAttribution what its licence asks to
// be said.
const (
	WDITitle       = "waste received in the East of England in 2019"
	WDIAttribution = "Source: Environment Agency, Waste Data Interrogator 2019. " +
		"Contains public sector information licensed under the Open Government Licence v3.0."
)

// WDI returns the bundled file: gzip of CSV, 29,626 rows below one heading,
// 33,087,651.241897 t in all. The caller must not change the bytes.
func WDI() []byte { return wdi }
