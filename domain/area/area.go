package area

// Level is the rank of an area within its country.
type Level string

// The levels, from large to small.
const (
	Country      Level = "country"
	Region       Level = "region"       // Danish region, Swedish county, English region
	Municipality Level = "municipality" // Danish kommune, Swedish kommun, English waste planning authority
)

// Area is a place that matter is counted for.
type Area struct {
	ID      ID
	Level   Level
	Name    string // as its own people write it
	Country string // ISO 3166-1 alpha-2, upper case
	Code    string // official code within its country, for example 0101; may be ""
	Parent  ID     // the area it lies in; "" for countries
	NUTS    string // NUTS 2021 code where there is one
	Centre  Point  // zero when not known
}

// Point is a place on the earth, WGS 84, in degrees.
type Point struct {
	Lat, Lon float64
}
