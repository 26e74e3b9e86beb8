#include <algorithm>
#include <cctype>
#include <charconv>

#include "ir/text.h"

namespace sula {
namespace {

constexpr int kMaxDepth = 64;  // of subgraphs
constexpr int64_t kMaxConstantBytes = int64_t{1} << 30;

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// A symbol that inference makes up ("_0"): another run may number it otherwise.
bool HasFreshSymbol(const Dim& dim) {
  return std::ranges::any_of(dim.Symbols(), [](const std::string& s) {
    return s.size() > 1 && s[0] == '_' &&
           std::all_of(s.begin() + 1, s.end(), [](char c) { return c >= '0' && c <= '9'; });
  });
}

// Whether what a text says of a value fits what inference says.
bool Agrees(const TensorType& said, const TensorType& inferred) {
  if (said.dtype != inferred.dtype) return false;
  if (!said.shape) return true;
  if (!inferred.shape || inferred.shape->rank() != said.shape->rank()) return false;
  for (int i = 0; i < said.shape->rank(); ++i) {
    const Dim &a = (*said.shape)[i], &b = (*inferred.shape)[i];
    if (a != b && !HasFreshSymbol(a) && !HasFreshSymbol(b)) return false;
  }
  return true;
}

class Parser {
 public:
  Parser(std::string_view text, Catalogue catalogue) : text_(text), catalogue_(catalogue) {}

  Result<Graph> Run() {
    ASSIGN_OR_RETURN(Graph graph, ParseGraphBlock());
    SkipSpace();
    if (pos_ < text_.size()) return Error(pos_, "text after the end of the graph");
    if (Status s = InferShapes(graph); !s.ok()) return Located(graph, std::move(s));
    for (const Annotation& a : annotations_) {
      const Graph* g = &graph;
      for (const auto& [node, subgraph] : a.path) g = &g->node(node).subgraphs[subgraph];
      const TensorType& inferred = g->value(a.value).type;
      if (!Agrees(a.type, inferred)) {
        return Error(a.pos, StrCat("'", g->value(a.value).name, "' is declared ", a.type.ToString(),
                                   ", inference gives ", inferred.ToString()));
      }
    }
    RETURN_IF_ERROR(Verify(graph));
    return graph;
  }

 private:
  using Path = std::vector<std::pair<NodeId, size_t>>;  // to a subgraph, from outside in
  struct Annotation {
    Path path;
    ValueId value;
    TensorType type;
    size_t pos;
  };

  std::string Position(size_t pos) const {
    const std::string_view before = text_.substr(0, pos);
    const auto line = 1 + std::ranges::count(before, '\n');
    const size_t line_start = before.rfind('\n');  // npos + 1 == 0
    return StrCat("line ", line, ", column ", pos - (line_start + 1) + 1);
  }
  Status Error(size_t pos, std::string_view what) const {
    return InvalidModel(Position(pos), ": ", what);
  }
  // Adds the position of the top-level node that an inference error names.
  Status Located(const Graph& graph, Status s) const {
    for (NodeId id = 0; id < graph.node_slots(); ++id)
      if (std::ranges::count(s.context(), Describe(graph, id)) > 0)
        return std::move(s).AddContext(Position(node_pos_[id]));
    return s;
  }

  // ---- tokens
  void SkipSpace() {
    while (pos_ < text_.size()) {
      if (text_[pos_] == '#') {
        while (pos_ < text_.size() && text_[pos_] != '\n') ++pos_;
      } else if (std::isspace(static_cast<unsigned char>(text_[pos_]))) {
        ++pos_;
      } else {
        break;
      }
    }
  }
  char Peek() {
    SkipSpace();
    return pos_ < text_.size() ? text_[pos_] : '\0';
  }
  bool Accept(char c) {
    if (Peek() != c || pos_ == text_.size()) return false;
    ++pos_;
    return true;
  }
  Status Expect(char c) {
    if (Accept(c)) return {};
    return Error(pos_, StrCat("expected '", c, "'"));
  }
  std::string_view PeekWord() {
    SkipSpace();
    size_t end = pos_;
    while (end < text_.size() && IsWord(text_[end])) ++end;
    return text_.substr(pos_, end - pos_);
  }
  bool AcceptWord(std::string_view word) {
    if (PeekWord() != word) return false;
    pos_ += word.size();
    return true;
  }
  Result<std::string> Word(std::string_view what) {
    const std::string_view word = PeekWord();
    if (word.empty()) return Error(pos_, StrCat("expected ", what));
    pos_ += word.size();
    return std::string(word);
  }
  Result<std::string> QuotedString() {
    SkipSpace();
    const size_t start = pos_;
    RETURN_IF_ERROR(Expect('"'));
    std::string out;
    while (pos_ < text_.size() && text_[pos_] != '"') {
      char c = text_[pos_++];
      if (c == '\\') {
        const char escape = pos_ < text_.size() ? text_[pos_++] : '\0';
        if (escape == 'n') {
          c = '\n';
        } else if (escape == 'x') {
          uint8_t code = 0;
          const std::string_view digits = text_.substr(pos_, 2);
          const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
          if (digits.size() != 2 || end.ptr != digits.data() + 2)
            return Error(pos_, "expected two hexadecimal digits");
          c = static_cast<char>(code);
          pos_ += 2;
        } else if (escape == '"' || escape == '\\') {
          c = escape;
        } else {
          return Error(pos_ - 1, "unknown escape in a string");
        }
      }
      out += c;
    }
    if (pos_ == text_.size()) return Error(start, "string without an end");
    ++pos_;
    return out;
  }
  Result<std::string> ValueName() {
    RETURN_IF_ERROR(Expect('%'));
    const size_t start = pos_;
    std::string name;
    if (pos_ < text_.size() && text_[pos_] == '"') {
      ASSIGN_OR_RETURN(name, QuotedString());
    } else {
      while (pos_ < text_.size() && (IsWord(text_[pos_]) || std::string_view("./-").find(
                                                                text_[pos_]) != std::string::npos))
        name += text_[pos_++];
    }
    if (name.empty()) return Error(start, "expected a name");
    return name;
  }
  // The characters of a number, checked by the caller's conversion.
  std::string_view NumberText() {
    SkipSpace();
    size_t end = pos_;
    while (end < text_.size() &&
           (IsWord(text_[end]) || std::string_view("+-.").find(text_[end]) != std::string::npos))
      ++end;
    const std::string_view token = text_.substr(pos_, end - pos_);
    pos_ = end;
    return token;
  }
  template <class T>
  static bool Convert(std::string_view token, T& out) {
    const auto r = std::from_chars(token.data(), token.data() + token.size(), out);
    return r.ec == std::errc() && r.ptr == token.data() + token.size();
  }

  // ---- types and constants
  Result<TensorType> Type() {
    SkipSpace();
    const size_t start = pos_;
    ASSIGN_OR_RETURN(std::string name, Word("an element type"));
    TensorType type;
    Result<DType> dtype = ParseDType(name);
    if (!dtype.has_value()) return Error(start, dtype.status().message());
    type.dtype = *dtype;
    RETURN_IF_ERROR(Expect('['));
    if (Accept('?')) {
      RETURN_IF_ERROR(Expect(']'));
      return type;
    }
    type.shape.emplace();
    if (Accept(']')) return type;
    std::vector<Dim> dims;
    do {
      SkipSpace();
      const size_t dim_start = pos_;
      int depth = 0;
      while (pos_ < text_.size() && text_[pos_] != ']' && text_[pos_] != '\n' &&
             (text_[pos_] != ',' || depth > 0)) {
        depth += text_[pos_] == '(' ? 1 : text_[pos_] == ')' ? -1 : 0;
        ++pos_;
      }
      Result<Dim> dim = Dim::Parse(text_.substr(dim_start, pos_ - dim_start));
      if (!dim.has_value()) return Error(dim_start, dim.status().message());
      dims.push_back(*std::move(dim));
    } while (Accept(','));
    RETURN_IF_ERROR(Expect(']'));
    type.shape = Shape(std::move(dims));
    if (Status s = CheckSizes(type); !s.ok()) return Error(start, s.message());
    return type;
  }

  template <class T>
  Status Element(T& out) {
    SkipSpace();
    const size_t start = pos_;
    const std::string_view token = NumberText();
    bool ok;
    if constexpr (std::is_same_v<T, bool>) {
      ok = token == "true" || token == "false";
      out = token == "true";
    } else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
      float f = 0;
      ok = Convert(token, f);
      out = f;
    } else {
      ok = Convert(token, out);
    }
    return ok ? Status() : Error(start, StrCat("'", token, "' is not an element of this type"));
  }

  Result<Tensor> ConstantValue(const TensorType& type) {
    SkipSpace();
    const size_t start = pos_;
    const std::optional<Dims> dims = type.shape ? type.shape->TryConcrete() : std::nullopt;
    if (!dims) return Error(start, "a constant needs a concrete shape");
    const int64_t count = NumElements(*dims);
    if (count > kMaxConstantBytes / static_cast<int64_t>(SizeOf(type.dtype)))
      return Error(start, "a constant of more than 1 GiB");
    if (AcceptWord("random")) {
      RETURN_IF_ERROR(Expect('('));
      uint64_t seed = 0;
      const size_t seed_pos = pos_;
      if (!Convert(NumberText(), seed)) return Error(seed_pos, "expected a seed");
      RETURN_IF_ERROR(Expect(')'));
      return RandomTensor(type.dtype, *dims, seed);
    }
    if (text_.substr(pos_).starts_with("..."))
      return Error(start, "the elements were left out; print with all elements");
    RETURN_IF_ERROR(Expect('['));
    Tensor tensor(type.dtype, *dims);
    Status status;
    DispatchDType(type.dtype, [&](auto zero) {
      using T = decltype(zero);
      int64_t i = 0;
      for (T& x : tensor.mutable_data<T>()) {
        if (status.ok() && i++ > 0) status = Expect(',');
        if (status.ok()) status = Element(x);
      }
    });
    RETURN_IF_ERROR(status);
    if (!Accept(']')) return Error(pos_, StrCat("expected ']' after ", count, " elements"));
    return tensor;
  }

  // ---- fields
  Result<FieldValue> Scalar() {
    if (Peek() == '"') {
      ASSIGN_OR_RETURN(std::string s, QuotedString());
      return FieldValue(std::move(s));
    }
    const size_t start = pos_;
    const std::string_view token = NumberText();
    if (token == "true" || token == "false") return FieldValue(token == "true");
    int64_t i;
    if (Convert(token, i)) return FieldValue(i);
    double d;
    if (Convert(token, d)) return FieldValue(d);
    return Error(start, "expected a value: a number, true, false or a string");
  }

  Result<FieldValue> ListOrScalar() {
    if (!Accept('[')) return Scalar();
    std::vector<int64_t> ints;
    std::vector<double> doubles;  // all numbers
    std::vector<std::string> strings;
    if (Accept(']')) return FieldValue(ints);
    do {
      SkipSpace();
      const size_t start = pos_;
      ASSIGN_OR_RETURN(FieldValue v, Scalar());
      if (auto* i = std::get_if<int64_t>(&v)) {
        ints.push_back(*i);
        doubles.push_back(static_cast<double>(*i));
      } else if (auto* d = std::get_if<double>(&v)) {
        doubles.push_back(*d);
      } else if (auto* s = std::get_if<std::string>(&v)) {
        strings.push_back(std::move(*s));
      } else {
        return Error(start, "a list holds numbers or strings");
      }
      if (!strings.empty() && !doubles.empty())
        return Error(start, "a list holds numbers or strings, not both");
    } while (Accept(','));
    RETURN_IF_ERROR(Expect(']'));
    if (!strings.empty()) return FieldValue(std::move(strings));
    if (ints.size() == doubles.size()) return FieldValue(std::move(ints));
    return FieldValue(std::move(doubles));
  }

  Result<Params> Fields(const OpDef& op) {
    std::vector<std::pair<std::string, FieldValue>> fields;
    SkipSpace();
    const size_t start = pos_;
    if (Peek() == '{') {
      ++pos_;
      do {
        const size_t field_start = (SkipSpace(), pos_);
        ASSIGN_OR_RETURN(std::string name, Word("a field name"));
        if (std::ranges::count(fields, name, &std::pair<std::string, FieldValue>::first) > 0)
          return Error(field_start, StrCat("field '", name, "' is given twice"));
        RETURN_IF_ERROR(Expect('='));
        ASSIGN_OR_RETURN(FieldValue value, ListOrScalar());
        fields.emplace_back(std::move(name), std::move(value));
      } while (Accept(','));
      RETURN_IF_ERROR(Expect('}'));
    }
    Result<Params> params = MakeParams(op, fields);
    if (!params.has_value()) return Status(params.status()).AddContext(Position(start));
    return params;
  }

  // ---- lines
  Result<ValueId> Use(const Graph& g) {
    SkipSpace();
    const size_t start = pos_;
    ASSIGN_OR_RETURN(std::string name, ValueName());
    const std::optional<ValueId> v = g.FindValue(name);
    if (!v) return Error(start, StrCat("no value '", name, "' is defined before this point"));
    return *v;
  }

  Result<std::string> NewName(const Graph& g) {
    SkipSpace();
    const size_t start = pos_;
    ASSIGN_OR_RETURN(std::string name, ValueName());
    if (g.FindValue(name)) return Error(start, StrCat("value '", name, "' is defined twice"));
    return name;
  }

  Status InputLine(Graph& g) {
    ASSIGN_OR_RETURN(std::string name, NewName(g));
    RETURN_IF_ERROR(Expect(':'));
    ASSIGN_OR_RETURN(TensorType type, Type());
    g.AddInput(std::move(name), std::move(type));
    return {};
  }

  Status ConstLine(Graph& g) {
    ASSIGN_OR_RETURN(std::string name, NewName(g));
    RETURN_IF_ERROR(Expect(':'));
    ASSIGN_OR_RETURN(TensorType type, Type());
    RETURN_IF_ERROR(Expect('='));
    ASSIGN_OR_RETURN(Tensor value, ConstantValue(type));
    g.AddConstant(std::move(name), std::move(value));
    return {};
  }

  Status NodeLine(Graph& g) {
    const size_t start = pos_;
    std::vector<std::string> names;
    std::vector<std::pair<size_t, std::pair<TensorType, size_t>>> types;  // output, type, position
    do {
      SkipSpace();
      const size_t name_pos = pos_;
      if (AcceptWord("_")) {
        names.emplace_back();
        continue;
      }
      ASSIGN_OR_RETURN(std::string name, NewName(g));
      if (std::ranges::count(names, name) > 0)
        return Error(name_pos, StrCat("value '", name, "' is defined twice"));
      names.push_back(std::move(name));
      if (Accept(':')) {
        ASSIGN_OR_RETURN(TensorType type, Type());
        types.push_back({names.size() - 1, {std::move(type), name_pos}});
      }
    } while (Accept(','));
    RETURN_IF_ERROR(Expect('='));

    SkipSpace();
    const size_t op_pos = pos_;
    ASSIGN_OR_RETURN(std::string op_name, Word("an operator"));
    const OpDef* op = FindOp(catalogue_, op_name);
    if (!op) return Error(op_pos, StrCat("unknown operator '", op_name, "'"));
    std::vector<ValueId> inputs;
    RETURN_IF_ERROR(Expect('('));
    if (!Accept(')')) {
      do {
        if (AcceptWord("_")) {
          inputs.push_back(kNoValue);
        } else {
          ASSIGN_OR_RETURN(ValueId v, Use(g));
          inputs.push_back(v);
        }
      } while (Accept(','));
      RETURN_IF_ERROR(Expect(')'));
    }
    ASSIGN_OR_RETURN(Params params, Fields(*op));
    std::string name;
    SkipSpace();
    const size_t name_pos = pos_;
    if (Peek() == '"') {
      ASSIGN_OR_RETURN(name, QuotedString());
      if (g.FindNode(name)) return Error(name_pos, StrCat("node '", name, "' is defined twice"));
    }
    const int outputs = static_cast<int>(names.size());
    const NodeId id = g.AddNode(*op, std::move(params), std::move(inputs), outputs, std::move(name),
                                std::move(names));
    if (path_.empty()) node_pos_.push_back(start);
    for (auto& [output, type] : types)
      annotations_.push_back(
          {path_, g.node(id).outputs[output], std::move(type.first), type.second});
    return Subgraphs(g, id);
  }

  Status Subgraphs(Graph& g, NodeId id) {
    if (!Accept('{')) return {};
    if (path_.size() >= kMaxDepth)
      return Error(pos_, StrCat("subgraphs are nested deeper than ", kMaxDepth));
    while (!Accept('}')) {
      path_.emplace_back(id, g.node(id).subgraphs.size());
      ASSIGN_OR_RETURN(Graph subgraph, ParseGraphBlock());
      path_.pop_back();
      g.node(id).subgraphs.push_back(std::move(subgraph));
    }
    return {};
  }

  Result<Graph> ParseGraphBlock() {
    if (!AcceptWord("graph")) return Error(pos_, "expected 'graph'");
    Graph g;
    if (Peek() == '"') {
      ASSIGN_OR_RETURN(g.name, QuotedString());
    }
    RETURN_IF_ERROR(Expect('{'));
    while (!Accept('}')) {
      if (Peek() == '%' || PeekWord() == "_") {
        RETURN_IF_ERROR(NodeLine(g));
      } else if (AcceptWord("input")) {
        RETURN_IF_ERROR(InputLine(g));
      } else if (AcceptWord("const")) {
        RETURN_IF_ERROR(ConstLine(g));
      } else if (AcceptWord("meta")) {
        ASSIGN_OR_RETURN(std::string key, QuotedString());
        RETURN_IF_ERROR(Expect('='));
        ASSIGN_OR_RETURN(g.metadata[key], QuotedString());
      } else if (AcceptWord("captures")) {
        do {
          ASSIGN_OR_RETURN(std::string name, ValueName());
          g.captures.push_back(std::move(name));
        } while (Accept(','));
      } else if (AcceptWord("output")) {
        do {
          ASSIGN_OR_RETURN(ValueId v, Use(g));
          g.AddOutput(v);
        } while (Accept(','));
      } else {
        return Error(pos_, "expected input, const, output, meta, captures, a node or '}'");
      }
    }
    return g;
  }

  std::string_view text_;
  Catalogue catalogue_;
  size_t pos_ = 0;
  Path path_;
  std::vector<Annotation> annotations_;
  std::vector<size_t> node_pos_;  // of the outermost graph's nodes
};

}  // namespace

Result<Graph> ParseGraph(std::string_view text, Catalogue catalogue) {
  return Parser(text, catalogue).Run();
}

}  // namespace sula
