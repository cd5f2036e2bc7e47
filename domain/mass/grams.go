package mass

// Grams is a mass, exact, in whole grams. Negative only where a difference is
// meant. int64 holds 9.2 billion tonnes.
type Grams int64
