package waste

// Code is a six-digit code of the EU list of waste (Danish: EAK-kode), digits
// only, for example "200301". The zero value is "no code".
type Code string
