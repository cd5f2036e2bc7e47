package area

// ID names an area: lower case, dashes between its parts, for example dk,
// dk-1084 (region), dk-0101 (municipality), gb-wpa-suffolk.
type ID string
