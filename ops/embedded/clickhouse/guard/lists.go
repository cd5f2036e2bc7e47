package guard

import (
	_ "embed" // the lists of functions
	"slices"
	"strings"
)

// The lists of functions, one name a line; a test compares them with the engine,
// so that a new engine's new functions are looked at by a person.
var (
	//go:embed functions.txt
	functionsText string
	//go:embed aggregates.txt
	aggregatesText string
	//go:embed refused.txt
	refusedText string
)

// lists holds what may be called, by name.
type lists struct {
	exact   map[string]bool // names as the engine spells them
	folded  map[string]bool // names the engine reads without regard to case, in small letters
	agg     map[string]bool
	aggFold map[string]bool
	no      map[string]bool // refused names, in small letters
}

func newLists() *lists {
	l := &lists{agg: map[string]bool{}, aggFold: map[string]bool{}, exact: map[string]bool{}, folded: map[string]bool{}, no: map[string]bool{}}
	read(functionsText, l.exact, l.folded)
	read(aggregatesText, l.agg, l.aggFold)
	for _, name := range operators {
		l.exact[name] = true
	}
	unused := map[string]bool{}
	read(refusedText, unused, l.no)
	for name := range unused {
		l.no[strings.ToLower(name)] = true
	}
	return l
}

// read fills exact with all names and folded with those marked "/i".
func read(text string, exact, folded map[string]bool) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, anyCase := strings.CutSuffix(line, "/i")
		exact[name] = true
		if anyCase {
			folded[strings.ToLower(name)] = true
		}
	}
}

// function says whether name may be called, as an ordinary function or as an
// aggregate with any combinators.
func (l *lists) function(name string) bool {
	if l.exact[name] || l.folded[strings.ToLower(name)] {
		return true
	}
	for base := name; ; {
		if l.agg[base] || l.aggFold[strings.ToLower(base)] {
			return true
		}
		shorter := base
		for _, suffix := range combinators {
			if s, ok := strings.CutSuffix(base, suffix); ok && s != "" && (shorter == base || len(s) < len(shorter)) {
				shorter = s
			}
		}
		if shorter == base {
			return false
		}
		base = shorter
	}
}

// refused says whether name is that of a function that was refused on purpose.
// The engine's refusals are spelled in one case; this is not, to be safe.
func (l *lists) refused(name string) bool { return l.no[strings.ToLower(name)] }

// setting says whether a research query may make it.
func (l *lists) setting(name string) bool {
	if slices.Contains(settings, name) {
		return true
	}
	return slices.ContainsFunc(settingFamilies, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// combinators of aggregate functions.
var combinators = []string{
	"If", "Array", "Map", "SimpleState", "State", "Merge", "MergeState", "ForEach", "Distinct", "OrDefault", "OrNull", "Resample", "ArgMin", "ArgMax",
}

// operators are names the syntax tree uses for what is no function of its own.
var operators = []string{"lambda", "exists", "grouping", "untuple", "interval"}

// membership functions may name a table on their right side.
var membership = []string{
	"in", "notIn", "globalIn", "globalNotIn", "nullIn", "notNullIn", "globalNullIn", "globalNotNullIn",
	"inIgnoreSet", "notInIgnoreSet", "globalInIgnoreSet", "globalNotInIgnoreSet", "nullInIgnoreSet", "notNullInIgnoreSet",
}

// statements are the kinds of statement an account that reads may make.
var statements = []string{
	"SelectWithUnionQuery", "ShowTables", "ShowColumns", "ShowFunctions", "ShowIndexes", "ShowSetting",
	"ShowCreateTableQuery", "ShowCreateViewQuery", "ShowCreateDatabaseQuery", "DescribeQuery",
	"ExistsTableQuery", "ExistsViewQuery", "ExistsDatabaseQuery",
}

// explains are the kinds of EXPLAIN.
var explains = []string{"EXPLAIN", "EXPLAIN AST", "EXPLAIN SYNTAX", "EXPLAIN QUERY TREE", "EXPLAIN PIPELINE", "EXPLAIN ESTIMATE"}

// nodes of the syntax tree that carry no name of their own to judge.
var nodes = []string{
	"SelectWithUnionQuery", "SelectIntersectExceptQuery", "SelectQuery", "ExpressionList", "Literal", "QueryParameter",
	"Asterisk", "QualifiedAsterisk", "ColumnsRegexpMatcher", "QualifiedColumnsRegexpMatcher", "ColumnsListMatcher", "QualifiedColumnsListMatcher",
	"ColumnsTransformerList", "ColumnsExceptTransformer", "ColumnsReplaceTransformer", "ColumnsReplaceTransformer::Replacement", "ColumnsApplyTransformer",
	"TablesInSelectQuery", "TablesInSelectQueryElement", "TableExpression", "TableJoin", "ArrayJoin", "SampleRatio", "Subquery",
	"WithElement", "WindowDefinition", "WindowListElement", "OrderByElement", "InterpolateElement", "Set",
}

// tableFunctions compute their rows from their arguments. view's argument is a
// SELECT that is judged like any other.
var tableFunctions = []string{
	"numbers", "numbers_mt", "zeros", "zeros_mt", "generateSeries", "generate_series", "primes", "values", "SQLStandardValues", "null", "view", "viewExplain",
}

// systemTables describe what the account may see or the engine itself, and are
// what drivers, Grafana and database browsers look at.
var systemTables = []string{
	"one", "numbers", "numbers_mt", "zeros", "zeros_mt", "tables", "columns", "databases", "functions", "formats", "data_type_families",
	"settings", "time_zones", "collations", "table_functions", "table_engines", "keywords", "aggregate_function_combinators",
	"parts", "parts_columns", "data_skipping_indices", "projections", "completions", "licenses", "contributors", "unicode", "current_roles", "dictionaries",
}

// types may stand before a parenthesis in a query parameter's declaration.
var types = []string{
	"Decimal", "Decimal32", "Decimal64", "Decimal128", "Decimal256", "Nullable", "Array", "Tuple", "Map", "LowCardinality", "FixedString",
	"DateTime", "DateTime32", "DateTime64", "Time64", "Enum", "Enum8", "Enum16", "Nested", "Variant", "SimpleAggregateFunction", "AggregateFunction",
}

// structure are the engine's keywords that may stand before a parenthesis.
var structure = []string{
	"ALL", "AND", "ANY", "ARRAY", "AS", "ASOF", "BETWEEN", "BY", "CASE", "COLUMNS", "CUBE", "DESCRIBE", "DISTINCT", "ELSE", "EXCEPT", "EXISTS", "EXPLAIN",
	"FILTER", "FROM", "FULL", "GLOBAL", "HAVING", "ILIKE", "IN", "INNER", "INTERPOLATE", "INTERSECT", "INTERVAL", "IS", "JOIN", "LEFT", "LIKE", "LIMIT", "NOT", "OFFSET",
	"ON", "OR", "OVER", "PIPELINE", "PREWHERE", "QUALIFY", "REPLACE", "RIGHT", "ROLLUP", "SELECT", "SETS", "STEP", "STRICT", "SYNTAX", "TABLE", "THEN", "TIES", "TO", "TREE", "UNION",
	"USING", "VALUES", "WHEN", "WHERE", "WITH",
}

// outputFormats return a result and write nothing else. Formats that read a
// template or a schema file, and the wire formats of other servers, are left out.
var outputFormats = []string{
	"Arrow", "ArrowStream", "Avro", "BSONEachRow", "CSV", "CSVWithNames", "CSVWithNamesAndTypes", "Hash", "JSON", "JSONColumns",
	"JSONColumnsWithMetadata", "JSONCompact", "JSONCompactColumns", "JSONCompactEachRow", "JSONCompactEachRowWithNames",
	"JSONCompactEachRowWithNamesAndTypes", "JSONCompactEachRowWithProgress", "JSONCompactStrings", "JSONCompactStringsEachRow",
	"JSONCompactStringsEachRowWithNames", "JSONCompactStringsEachRowWithNamesAndTypes", "JSONEachRow", "JSONEachRowWithProgress",
	"JSONLines", "JSONObjectEachRow", "JSONStrings", "JSONStringsEachRow", "JSONStringsEachRowWithProgress", "LineAsString", "MD", "Markdown", "MsgPack",
	"NDJSON", "Native", "Npy", "Null", "ODBCDriver2", "ORC", "Parquet", "Pretty", "PrettyCompact", "PrettyCompactMonoBlock", "PrettyCompactNoEscapes",
	"PrettyCompactNoEscapesMonoBlock", "PrettyJSONEachRow", "PrettyJSONLines", "PrettyMonoBlock", "PrettyNDJSON", "PrettyNoEscapes",
	"PrettyNoEscapesMonoBlock", "PrettySpace", "PrettySpaceMonoBlock", "PrettySpaceNoEscapes", "PrettySpaceNoEscapesMonoBlock", "Prometheus", "Raw",
	"RawBLOB", "RawWithNames", "RawWithNamesAndTypes", "RowBinary", "RowBinaryWithNames", "RowBinaryWithNamesAndTypes", "SQLInsert", "TSKV", "TSV", "TSVRaw",
	"TSVRawWithNames", "TSVRawWithNamesAndTypes", "TSVWithNames", "TSVWithNamesAndTypes", "TabSeparated", "TabSeparatedRaw", "TabSeparatedRawWithNames",
	"TabSeparatedRawWithNamesAndTypes", "TabSeparatedWithNames", "TabSeparatedWithNamesAndTypes", "Values", "Vertical", "XML",
}

// Limited settings, which the caller caps: the value counts only if it is
// stricter than the account's own.
var Limited = []string{"max_execution_time", "max_memory_usage", "max_rows_to_read", "max_result_rows", "max_result_bytes", "max_threads"}

// settings change how a result is computed or shown, never what may be reached.
var settings = append([]string{
	"max_block_size", "max_rows_to_group_by", "max_bytes_before_external_group_by", "max_bytes_before_external_sort", "group_by_overflow_mode",
	"join_algorithm", "join_use_nulls", "join_default_strictness", "any_join_distinct_right_table_keys", "group_by_use_nulls", "union_default_mode",
	"intersect_default_mode", "except_default_mode", "aggregate_functions_null_for_empty", "transform_null_in", "extremes", "limit", "offset", "final",
	"prefer_column_name_to_alias", "session_timezone", "date_time_output_format", "bool_true_representation", "bool_false_representation",
	"format_csv_delimiter", "format_csv_null_representation", "format_tsv_null_representation", "enable_positional_arguments", "use_index_for_in_with_subqueries",
	"optimize_read_in_order", "optimize_aggregation_in_order", "optimize_move_to_prewhere", "use_skip_indexes", "do_not_merge_across_partitions_select_final",
	"date_time_input_format", "allow_suspicious_low_cardinality_types", "cast_keep_nullable", "decimal_check_overflow", "max_ast_depth", "max_ast_elements",
}, Limited...)

// settingFamilies are prefixes of such settings. output_format_schema, which
// names a file to write, is in none of them.
var settingFamilies = []string{
	"output_format_json_", "output_format_csv_", "output_format_tsv_", "output_format_pretty_", "output_format_parquet_", "output_format_arrow_",
	"output_format_orc_", "output_format_decimal_", "output_format_write_", "output_format_native_", "output_format_binary_", "output_format_markdown_",
	"output_format_xml_", "output_format_bson_", "output_format_msgpack_",
}
