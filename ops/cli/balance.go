package cli

import (
	"bytes"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/stofstrom/stofstrom/analytics/export"
)

func balanceCommand(s streams) *cobra.Command {
	var query struct {
		from, to                       string
		facilities, materials, methods []string
		format                         string
		rows                           int
	}
	cmd := &cobra.Command{
		Use:   "balance",
		Short: "Ask a running server whether what came in went out, measured and reconciled",
		Example: `  stofstrom balance --facility dk-p-1 --from 2019 --to 2020
  stofstrom balance --from 2019 --to 2020 --material 191212 --uncertainty volume:15 --format csv`,
		Args: noArguments,
	}
	server := serverFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&query.from, "from", "", "first `day` that counts: YYYY, YYYY-MM or YYYY-MM-DD")
	flags.StringVar(&query.to, "to", "", "`day` after the last that counts")
	flags.StringArrayVar(&query.facilities, "facility", nil, "only this `facility`, by id or name, and its neighbours; may be repeated")
	flags.StringArrayVar(&query.materials, "material", nil, "show only this `material`: a waste code, fraction or product; may be repeated")
	flags.StringArrayVar(&query.methods, "uncertainty", nil, "`method:percent` instead of the rule set's, for example weighed:0.5; may be repeated")
	flags.StringVar(&query.format, "format", "table", "`form` of the answer: table, csv or json")
	flags.IntVar(&query.rows, "rows", 0, "most `rows` of a table; 0 for all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		values := url.Values{}
		for name, given := range map[string][]string{"facility": query.facilities, "material": query.materials, "uncertainty": query.methods} {
			for _, v := range given {
				values.Add(name, v)
			}
		}
		for name, given := range map[string]string{"from": query.from, "to": query.to} {
			if given != "" {
				values.Set(name, given)
			}
		}
		switch query.format {
		case "csv", "json":
			values.Set("format", query.format)
		case "table":
			values.Set("format", "json")
		default:
			return usageError{fmt.Errorf("--format %q: one of table, csv, json is wanted", query.format)}
		}
		body, err := ask(cmd.Context(), *server, "/v1/balances?"+values.Encode())
		if err != nil {
			return err
		}
		if query.format != "table" {
			_, err := s.out.Write(body)
			return err
		}
		answer, err := export.ReadBalancesJSON(bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("reading the answer of %s: %w", *server, err)
		}
		return export.WriteBalancesTable(s.out, answer, query.rows)
	}
	return cmd
}
