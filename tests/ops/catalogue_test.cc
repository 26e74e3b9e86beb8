#include "ops/catalogue.h"

#include <algorithm>
#include <set>

#include "gtest/gtest.h"

namespace sula {
namespace {

TEST(Catalogue, IsSortedAndNamesAreUnique) {
  const Catalogue all = AllOps();
  EXPECT_GT(all.size(), 100u);
  for (size_t i = 1; i < all.size(); ++i) EXPECT_LT(all[i - 1]->name, all[i]->name);
}

TEST(Catalogue, FindsByName) {
  for (const OpDef* op : AllOps()) EXPECT_EQ(FindOp(AllOps(), op->name), op);
  EXPECT_EQ(FindOp(AllOps(), "NoSuchOp"), nullptr);
  EXPECT_EQ(FindOp(AllOps(), ""), nullptr);
}

TEST(Catalogue, EveryOperatorIsWellFormed) {
  for (const OpDef* op : AllOps()) {
    SCOPED_TRACE(op->name);
    EXPECT_FALSE(op->name.empty());
    EXPECT_FALSE(op->summary.empty());
    EXPECT_NE(op->infer, nullptr);
    EXPECT_NE(op->evaluate, nullptr);
    ASSERT_NE(op->default_params, nullptr);
    EXPECT_TRUE(op->default_params().has_value());
    EXPECT_FALSE(op->outputs.empty());
    for (const auto ports : {op->inputs, op->outputs}) {
      bool optional_seen = false;
      for (size_t i = 0; i < ports.size(); ++i) {
        EXPECT_FALSE(ports[i].name.empty());
        EXPECT_NE(ports[i].types & kAllTypes, 0u) << ports[i].name;
        if (ports[i].arity == Arity::kVariadic) {
          EXPECT_EQ(i + 1, ports.size()) << ports[i].name;
        }
        if (ports[i].arity == Arity::kOptional) optional_seen = true;
        if (ports[i].arity == Arity::kRequired && ports.data() == op->outputs.data()) {
          EXPECT_FALSE(optional_seen) << ports[i].name;
        }
      }
    }
  }
}

// Every field can be read from default params and set to what was read: so the field list, the
// default and BuildParams speak of the same struct.
TEST(Catalogue, FieldsRoundTrip) {
  for (const OpDef* op : AllOps()) {
    SCOPED_TRACE(op->name);
    const Params defaults = op->default_params();
    std::set<std::string_view> names;
    std::vector<std::pair<std::string, FieldValue>> values;
    for (const Field& f : op->fields) {
      EXPECT_TRUE(names.insert(f.name).second) << f.name;
      EXPECT_FALSE(f.help.empty()) << f.name;
      values.emplace_back(f.name, Field::Get(f, defaults));
    }
    if (op->fields.empty()) continue;
    ASSERT_NE(op->build_params, nullptr);
    const Result<Params> built = op->build_params(op->fields, values);
    ASSERT_TRUE(built.has_value()) << built.error().ToString();
    EXPECT_TRUE(Equal(*op, defaults, *built));
    EXPECT_FALSE(op->build_params(op->fields, {{{"no_such_field", FieldValue(true)}}}).has_value());
  }
}

}  // namespace
}  // namespace sula
