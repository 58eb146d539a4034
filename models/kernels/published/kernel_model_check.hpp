#pragma once
// What numbers of a loaded kernel model must keep to beyond their form: what an import refuses, a file may not say.

#include <optional>
#include <string>
#include <vector>

#include "models/hardware/gpu.hpp"
#include "models/kernels/published/kernel_model.hpp"

namespace moesim {

/// "20 of 8 experts" where a token has more experts than there are, by an operation's dimensions; nothing where it has
/// not, and where the operation has none or the model does not say how many there are (0).
std::optional<std::string> too_many_chosen(KernelOperation operation, const std::vector<int>& dimensions);

/// "16 of 8 experts" where a rank has more slots than there are experts, or no whole number of them.
std::optional<std::string> wrong_slots(const std::vector<int>& dimensions, double slots);

/// Throws InputError at `where`, the table's place, for more chosen experts or slots than there are experts, knots
/// faster than the GPU's peaks allow (fastest_time.hpp, less what a fit may take off), and a time per token above what
/// a token takes in the whole block.
void check_table(const KernelTable& table, const Gpu& gpu, const std::string& where);

/// Throws InputError at `where`, the place of the list, when a table is in it twice.
void check_each_once(const std::vector<KernelTable>& tables, const std::string& where);

}  // namespace moesim
