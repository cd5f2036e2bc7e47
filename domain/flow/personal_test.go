package flow_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/flow"
)

func TestPersonalDataIsFound(t *testing.T) {
	for text, what := range map[string]string{
		"mette@example.dk":                    "an e-mail address",
		"write to mette.h@skole.roskilde.dk!": "an e-mail address",
		"010190-1234":                         "a civil registration number",
		"CPR 311299-0003":                     "a civil registration number",
		"900131-2382":                         "a civil registration number", // Swedish order
		"19900131-2382":                       "a civil registration number",
		"+45 12 34 56 78":                     "a telephone number",
		"tlf. 12345678":                       "a telephone number",
		"Tel: 01473 123456":                   "a telephone number",
		"01473 123456":                        "a telephone number",
		"12 34 56 78":                         "a telephone number",
		"+46 70-123 45 67":                    "a telephone number",
		"AB 12 345":                           "a number plate",
		"bil AB12345 kl. 9":                   "a number plate",
		"AB12 CDE":                            "a number plate",
		"lorry AB12CDE":                       "a number plate",
		"ABC 123":                             "a number plate",
		"ABC 12D":                             "a number plate",
		"lastbil ABC123":                      "a number plate",
		"Mr Smith":                            "the name of a person",
		"left by Mrs. O'Neill":                "the name of a person",
		"hr. Jensen":                          "the name of a person",
		"Fru Ærø":                             "the name of a person",
		"chauffør: Hansen":                    "the name of a person",
		"Dr. J. Brown":                        "the name of a person",
	} {
		require.Equal(t, what, flow.LooksPersonal(text), text)
	}
}

func TestCodesOfTheFieldAreNotPersonal(t *testing.T) {
	for _, text := range []string{
		"", "17 05 03*", "19 12 07", "20 03 01 and 17 05 04", "EN 13432", "DS 12345", "PAS 100", "EWC 170", "ISO 14001", "EAK 200",
		"1003412345", "556677-8899", "320190-1234", "2024-03-01", "2024-03-01T10:00:00Z", "JP3900BT", "EPR/QP3237SC",
		"TR3 : Haz Waste Transfer", "S1504 No 4: 75kte HCI Waste TS", "SR2012 No 9: on-farm anaerobic digestion", "PAP001", "MIX001",
		"Drum", "Mr", "mrs", "MS 5", "hr", "DR Congo", "8.5 m3 @ 120 kg", "a @ b", "Miljøstation Nord, Ballerup",
		"R03.01.03", "33087651.241897", "12 000 000 kg", "501330 242860", "WEEE 2012/19/EU",
	} {
		require.Empty(t, flow.LooksPersonal(text), text)
	}
}

func BenchmarkLooksPersonal(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if flow.LooksPersonal("A11 : Household, Commercial & Industrial  Waste Transfer Stn") != "" {
			b.Fatal("found")
		}
	}
}
