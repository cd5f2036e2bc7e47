package facility

// ID names a facility: a scheme and the scheme's own number, lower case,
// for example dk-p-1003412345 (P-number) or gb-ea-jp3900bt (English permit).
// It may hold dashes.
type ID string
