package operation

// Code is a recovery or disposal operation: R1…R13, D1…D15, NS (not stated)
// or OF (other fate). The zero value is "no operation".
type Code string
