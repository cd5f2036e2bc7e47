package app

import (
	"bytes"
	"fmt"

	"gopkg.in/yaml.v3"
)

// mergeContracts makes one OpenAPI document of those of the parts. Paths,
// schemas and so on are the parts' own: the same name twice is an error, unless
// it stands for the same.
func mergeContracts(documents ...[]byte) ([]byte, error) {
	merged := map[string]any{}
	for i, raw := range documents {
		var doc map[string]any
		if err := yaml.Unmarshal(raw, &doc); err != nil {
			return nil, fmt.Errorf("contract %d: %w", i+1, err)
		}
		delete(doc, "info")
		if err := mergeInto(merged, doc, ""); err != nil {
			return nil, err
		}
	}
	merged["openapi"] = "3.1.0"
	merged["info"] = map[string]any{
		"title":       "Stofstrøm",
		"version":     "v1",
		"description": "Materials-flow tracking: report what flows, and ask where it went.",
		"license":     map[string]any{"name": "MPL-2.0", "identifier": "MPL-2.0"},
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(merged); err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	return out.Bytes(), encoder.Close()
}

func mergeInto(into, from map[string]any, path string) error {
	for key, value := range from {
		old, both := into[key]
		if !both {
			into[key] = value
			continue
		}
		oldMap, ok1 := old.(map[string]any)
		newMap, ok2 := value.(map[string]any)
		if ok1 && ok2 {
			if err := mergeInto(oldMap, newMap, path+"/"+key); err != nil {
				return err
			}
			continue
		}
		if fmt.Sprint(old) != fmt.Sprint(value) {
			return fmt.Errorf("contract: two parts say different things at %s/%s", path, key)
		}
	}
	return nil
}
