package mass_test

import (
	"fmt"

	"github.com/stofstrom/stofstrom/domain/mass"
)

func ExampleParse() {
	load, err := mass.Parse("12.34", mass.Tonne)
	fmt.Println(load, err)
	_, err = mass.Parse("12.3400001", mass.Tonne)
	fmt.Println(err)
	_, err = mass.Parse("12,340", mass.Kilogram)
	fmt.Println(err)
	pounds, err := mass.Parse("4900", mass.Pound)
	fmt.Println(pounds, err)
	// Output:
	// 12.340000 t <nil>
	// mass "12.3400001" t: finer than a gram
	// mass "12,340" kg: not a plain decimal number such as 12.340
	// 2.222603 t <nil>
}
