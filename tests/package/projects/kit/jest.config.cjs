module.exports = { testMatch: ['**/suite.jest.cjs'] };
