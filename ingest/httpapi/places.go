package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/ingest/register"
)

// point is a place on the earth.
type point struct {
	Lat *float64 `json:"lat"`
	Lon *float64 `json:"lon"`
}

// read is the point, zero when it is left out. What is given by halves is
// never taken for zero degrees, nor zero degrees for a place: bad says so.
func (p *point) read(field string) (at area.Point, bad []fault.Violation) {
	if p == nil {
		return area.Point{}, nil
	}
	for _, half := range []struct {
		name string
		is   *float64
	}{{"lat", p.Lat}, {"lon", p.Lon}} {
		if half.is == nil {
			bad = append(bad, flow.Violates("location-incomplete", field+"."+half.name, "", "Leave "+field+" out when it is not known."))
		}
	}
	if len(bad) > 0 {
		return area.Point{}, bad
	}
	at = area.Point{Lat: *p.Lat, Lon: *p.Lon}
	if at.IsZero() {
		bad = append(bad, flow.Violates("location-zero", field, "0, 0", "Leave "+field+" out when it is not known."))
	}
	return at, bad
}

func badPoints(bad []fault.Violation) error {
	return &fault.Fault{Kind: fault.Invalid, Detail: "a location is not whole", Violations: bad}
}

func pointOf(p area.Point) *point {
	if p == (area.Point{}) {
		return nil
	}
	return &point{Lat: &p.Lat, Lon: &p.Lon}
}

// facilityBody is a facility as it is sent and shown.
type facilityBody struct {
	ID         string   `json:"id,omitempty"`
	Name       string   `json:"name"`
	Area       string   `json:"area"`
	Locality   string   `json:"locality,omitempty"`
	Location   *point   `json:"location,omitempty"`
	TimeZone   string   `json:"time_zone"`
	Permit     string   `json:"permit,omitempty"`
	Operations []string `json:"operations,omitempty"`
}

// shownFacility is a facility with what the register knows besides.
type shownFacility struct {
	facilityBody
	Status     string `json:"status,omitempty"` // of a PUT: registered, changed, unchanged, kept
	Revision   uint32 `json:"revision"`
	Source     string `json:"source"`
	RecordedAt string `json:"recorded_at,omitempty"`
}

func showFacility(e register.FacilityEntry) shownFacility {
	f := e.Facility
	return shownFacility{
		facilityBody: facilityBody{ID: string(f.ID), Name: f.Name, Area: string(f.Area), Locality: f.Locality, Location: pointOf(f.Location),
			TimeZone: f.TimeZone, Permit: f.Permit, Operations: f.Operations},
		Revision: e.Revision, Source: e.Source.String(), RecordedAt: stamp(e.RecordedAt),
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func (h *Handler) listFacilities(w http.ResponseWriter, r *http.Request) error {
	entries := h.deps.Register.Facilities()
	all := make([]shownFacility, len(entries))
	for i, e := range entries {
		all[i] = showFacility(e)
	}
	h.write(w, r, http.StatusOK, "application/json", map[string][]shownFacility{"facilities": all})
	return nil
}

func (h *Handler) getFacility(w http.ResponseWriter, r *http.Request) error {
	e, ok := h.deps.Register.Facility(facility.ID(r.PathValue("id")))
	if !ok {
		return fault.New(fault.NotFound, "facility %q is not registered", fault.Clip(r.PathValue("id")))
	}
	h.write(w, r, http.StatusOK, "application/json", showFacility(e))
	return nil
}

// putFacility registers a facility or replaces its entry.
func (h *Handler) putFacility(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	var body facilityBody
	if err := h.readJSON(w, r, &body); err != nil {
		return err
	}
	if body.ID != "" && body.ID != id {
		return &fault.Fault{Kind: fault.Invalid, Detail: "the body names another facility than the address", Violations: []fault.Violation{
			flow.Violates("id-differs", "id", body.ID, "It may be left out."),
		}}
	}
	location, bad := body.Location.read("location")
	if len(bad) > 0 {
		return badPoints(bad)
	}
	f := facility.Facility{ID: facility.ID(id), Name: body.Name, Area: area.ID(body.Area), Locality: body.Locality,
		Location: location, TimeZone: body.TimeZone, Permit: body.Permit, Operations: body.Operations}
	out := h.deps.Register.PutFacility(r.Context(), f, h.source(r), h.meta(r, 0))
	if out.Err != nil {
		return out.Err
	}
	e, ok := h.deps.Register.Facility(f.ID)
	if !ok {
		return fault.New(fault.Internal, "facility %s was registered and is not there", f.ID)
	}
	shown := showFacility(e)
	shown.Status = string(out.Status)
	status := http.StatusOK
	if out.Status == register.Registered {
		status = http.StatusCreated
	}
	h.write(w, r, status, "application/json", shown)
	return nil
}

func (h *Handler) source(r *http.Request) register.Source {
	return register.Source{Kind: register.Curated, Name: h.deps.Actor(r)}
}

// areaBody is an area as it is sent and shown.
type areaBody struct {
	ID      string `json:"id"`
	Level   string `json:"level"`
	Name    string `json:"name"`
	Country string `json:"country"`
	Code    string `json:"code,omitempty"`
	Parent  string `json:"parent,omitempty"`
	NUTS    string `json:"nuts,omitempty"`
	Centre  *point `json:"centre,omitempty"`
}

type shownArea struct {
	areaBody
	Revision   uint32 `json:"revision"`
	Source     string `json:"source"`
	RecordedAt string `json:"recorded_at,omitempty"`
}

// listAreas lists areas; country and level narrow the list.
func (h *Handler) listAreas(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	for name := range query {
		if name != "country" && name != "level" {
			return &fault.Fault{Kind: fault.Invalid, Detail: "the query is not accepted", Violations: []fault.Violation{
				flow.Violates("query-unknown", fault.Clip(name), query.Get(name), "There are country and level."),
			}}
		}
	}
	country, level := strings.ToUpper(query.Get("country")), query.Get("level")
	if level != "" && !area.Level(level).Valid() {
		return &fault.Fault{Kind: fault.Invalid, Detail: "the query is not accepted", Violations: []fault.Violation{
			flow.Violates("query-malformed", "level", level, "It must be country, region or municipality."),
		}}
	}
	all := []shownArea{}
	for _, e := range h.deps.Register.Areas() {
		a := e.Area
		if country != "" && a.Country != country || level != "" && string(a.Level) != level {
			continue
		}
		all = append(all, shownArea{
			areaBody: areaBody{ID: string(a.ID), Level: string(a.Level), Name: a.Name, Country: a.Country, Code: a.Code,
				Parent: string(a.Parent), NUTS: a.NUTS, Centre: pointOf(a.Centre)},
			Revision: e.Revision, Source: e.Source.String(), RecordedAt: stamp(e.RecordedAt),
		})
	}
	h.write(w, r, http.StatusOK, "application/json", map[string][]shownArea{"areas": all})
	return nil
}

// areaResult is what became of one area.
type areaResult struct {
	ID      string   `json:"id"`
	Status  string   `json:"status"` // registered, changed, unchanged, kept, rejected
	Problem *Problem `json:"problem,omitempty"`
}

// postAreas registers areas, parents before or among their children: 200 when
// all are registered, 207 otherwise.
func (h *Handler) postAreas(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Areas []areaBody `json:"areas"`
	}
	if err := h.readJSON(w, r, &body); err != nil {
		return err
	}
	if len(body.Areas) == 0 || len(body.Areas) > h.cfg.MaxAreas {
		return &fault.Fault{Kind: fault.Invalid, Detail: "the body is not accepted", Violations: []fault.Violation{
			flow.Violates("areas-number", "areas", fmt.Sprint(len(body.Areas)), fmt.Sprintf("There must be 1 to %d.", h.cfg.MaxAreas)),
		}}
	}
	all := make([]area.Area, len(body.Areas))
	var bad []fault.Violation
	for i, a := range body.Areas {
		centre, wrong := a.Centre.read(fmt.Sprintf("areas[%d].centre", i))
		bad = append(bad, wrong...)
		all[i] = area.Area{ID: area.ID(a.ID), Level: area.Level(a.Level), Name: a.Name, Country: a.Country, Code: a.Code,
			Parent: area.ID(a.Parent), NUTS: a.NUTS, Centre: centre}
	}
	if len(bad) > 0 {
		return badPoints(bad)
	}
	status := http.StatusOK
	results := make([]areaResult, len(all))
	for i, out := range h.deps.Register.PutAreas(r.Context(), all, h.source(r), h.meta(r, 0)) {
		results[i] = areaResult{ID: string(all[i].ID), Status: string(out.Status)}
		if out.Err == nil {
			continue
		}
		if kind := fault.KindOf(out.Err); kind == fault.Unavailable || kind == fault.NoRoom || kind == fault.Internal {
			return out.Err // repeating the request harms nothing
		}
		p := problemOf(out.Err)
		results[i].Status, results[i].Problem, status = "rejected", &p, http.StatusMultiStatus
	}
	h.write(w, r, status, "application/json", map[string][]areaResult{"areas": results})
	return nil
}

// readJSON reads a JSON body strictly.
func (h *Handler) readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if media = strings.TrimSpace(media); media != "" && media != "application/json" {
		return unsupported("the body must be application/json")
	}
	body, err := h.plainBody(w, r, false)
	if err != nil {
		return err
	}
	defer body.Close() // frees a decoder of memory, nothing else
	return decodeStrictly(body, into)
}

// pointerPath writes a JSON pointer as a path: areas[2].name.
func pointerPath(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		switch {
		case token != "" && strings.Trim(token, "0123456789") == "":
			b.WriteString("[" + token + "]")
			continue
		case b.Len() > 0:
			b.WriteByte('.')
		}
		b.WriteString(token)
	}
	if b.Len() == 0 {
		return "body"
	}
	return fault.Clip(b.String())
}

func bytesText(n int64) string { return fmt.Sprintf("%d bytes", n) }
