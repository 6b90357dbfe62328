package main

import "strings"

// insteadOf ends a sentence on a name that nobody knows: with the nearest of the known ones, or with all of them.
func insteadOf(name, path string, known []string) string {
	if near := nearest(name, known); near != "" {
		return "; did you mean " + within(path, near) + "?"
	}
	if len(known) == 0 {
		return "."
	}
	if path == "" {
		return "; there are " + strings.Join(known, ", ") + "."
	}
	return "; " + path + " has " + strings.Join(known, ", ") + "."
}

// nearest gives the known name that a slip of the pen may have made of name; empty where none is near.
func nearest(name string, known []string) string {
	if len(name) > maxQuotedBytes {
		return ""
	}
	best, least := "", 1+max(1, (len(name)+1)/3)
	for _, candidate := range known {
		if distance := edits(plainName(name), plainName(candidate)); distance < least {
			best, least = candidate, distance
		}
	}
	return best
}

// plainName is the same for maxTokens, max_tokens and MAX-TOKENS.
func plainName(name string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name))
}

// edits is the Levenshtein distance in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
